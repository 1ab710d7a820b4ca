#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing, builds the tests with g++ and runs them. ICRL_WERROR=ON makes warnings errors, and
# ICRL_LONG_TESTS=ON adds what takes minutes: each header compiled alone.
#   scripts/test.sh [CTEST ARGUMENTS]     e.g. scripts/test.sh -L slow, scripts/test.sh -R env
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" libcli11-dev catch2

say "building the tests"
configure test -DICRL_WERROR="${ICRL_WERROR:-OFF}"
build test

say "running the tests"
[[ ${ICRL_LONG_TESTS:-OFF} == ON ]] || set -- -LE long "$@"
exec ctest --test-dir build/test --output-on-failure -j "$(nproc)" "$@"
