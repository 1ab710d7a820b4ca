#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing, builds the tests with g++ and runs them. ICRL_MORE_TESTS=ON adds what takes long to compile:
# all examples, damaged files, models as headers, the C++ of the docs, projects that use the library.
# ICRL_LONG_TESTS=ON adds to that each header compiled alone. ICRL_WERROR=ON makes warnings errors.
#   scripts/test.sh [CTEST ARGUMENTS]     e.g. scripts/test.sh -L slow, scripts/test.sh -R env
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" libcli11-dev catch2

say "building the tests"
more=${ICRL_MORE_TESTS:-OFF}
[[ ${ICRL_LONG_TESTS:-OFF} != ON ]] || more=ON
configure test -DICRL_WERROR="${ICRL_WERROR:-OFF}" -DICRL_MORE_TESTS="$more"
build test

say "running the tests"
[[ ${ICRL_LONG_TESTS:-OFF} == ON ]] || set -- -LE long "$@"
exec ctest --test-dir build/test --output-on-failure -j "$(nproc)" "$@"
