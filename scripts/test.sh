#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing, builds the tests with g++ and runs them all. ICRL_WERROR=ON makes warnings errors.
#   scripts/test.sh [CTEST ARGUMENTS]     e.g. scripts/test.sh -L slow, scripts/test.sh -R env
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" libcli11-dev catch2

say "building the tests"
configure test -DICRL_WERROR="${ICRL_WERROR:-OFF}"
build test

say "running the tests"
exec ctest --test-dir build/test --output-on-failure -j "$(nproc)" "$@"
