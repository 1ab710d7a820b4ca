#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# The long checks:
#   format   clang-format and shellcheck
#   test     the tests by g++, each header alone, consumers and README included; warnings are errors
#   clang    the same by clang
#   release  examples and benchmarks at -O3, where g++ sees more; warnings are errors
#   dev      the tests under the address and the undefined-behavior sanitizer
#   tsan     the tests under the thread sanitizer
#   tidy     clang-tidy over every header
#   fuzz     the fuzzers of tests/fuzz, each for 60 seconds or for the number of them that follows, as in: fuzz 300
#   targets  compilers, levels and processors (scripts/targets.sh); hours, goes on where it was interrupted
#   aarch64  kernels and tests run by qemu, files exchanged with it (scripts/aarch64.sh)
#   windows  MinGW's g++ and wine (scripts/windows.sh)
#   wasm     integer models in WebAssembly, run by node (scripts/wasm.sh)
#   browser  the page of examples/browser: its agent in WebAssembly by node, the page by Chromium (scripts/browser.sh)
#   python   a task in Python over three seeds (scripts/python.sh)
#   embedded models as headers on microcontrollers, run by qemu (scripts/embedded.sh)
#   compiled icrl::compiled: its bits, symbols and speed, on older CPUs by qemu (scripts/compiled.sh)
#   mpi      training on ranks (scripts/mpi.sh)
#   tuned    demo.sh and test.sh in a clean clone by a g++ that tunes for skylake-avx512
#   bare     demo.sh, test.sh and package.sh in a bare root of this Debian and of the next one; only root can make one
#   docs     the API reference, with every public symbol documented (scripts/docs.sh)
#   package  the Debian package, and consumers of it (scripts/package.sh)
#   claims   what the README and the tutorial claim to be learned, over twenty seeds and three
#   scripts/check.sh [CHECK...]     by default all of them; goes on after a failure and ends on a line for each
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

checks=()
for word in "$@"; do
  if [[ $word =~ ^[0-9]+$ ]]; then export ICRL_FUZZ_SECONDS=$word; else checks+=("$word"); fi
done
((${#checks[@]})) || checks=(format test clang release dev tsan tidy fuzz targets aarch64 windows wasm browser python embedded compiled mpi tuned bare
  docs package claims)

if ((${#checks[@]} > 1)); then
  results=()
  failed=0
  for check in "${checks[@]}"; do
    begin=$SECONDS status=0
    scripts/check.sh "$check" || status=$?
    case $status in
      0) outcome=passed ;;
      "$not_done") outcome='not done' ;;
      *) outcome=FAILED failed=1 ;;
    esac
    results+=("$outcome  $check  ($((SECONDS - begin)) s)")
  done
  say "long checks"
  printf '%s\n' "${results[@]}"
  exit "$failed"
fi

say "check: ${checks[0]}"
need "${build_tools[@]}" "${libraries[@]}" libcli11-dev catch2
case ${checks[0]} in
  format)
    need clang-format shellcheck
    git ls-files -z '*.hpp' '*.cpp' | xargs -0 clang-format --dry-run -Werror
    git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck
    ;;
  test)
    ICRL_WERROR=ON ICRL_LONG_TESTS=ON scripts/test.sh
    ;;
  clang)
    need clang
    configure clang
    build clang
    ctest --preset clang -j "$(nproc)"
    ;;
  release)
    configure bench -DICRL_BUILD_EXAMPLES=ON -DICRL_WERROR=ON
    build bench
    ;;
  dev | tsan) # what the tests compile on their own is no different under a sanitizer
    configure "${checks[0]}"
    build "${checks[0]}"
    outcome=passed
    ctest --preset "${checks[0]}" -LE compiles -j "$(nproc)" || outcome=FAILED
    record "tests, preset ${checks[0]}" "$outcome"
    [[ $outcome == passed ]]
    ;;
  tidy)
    need clang clang-tidy
    configure tidy
    build tidy icrl_verify_interface_header_sets
    ;;
  fuzz)
    scripts/fuzz.sh "${ICRL_FUZZ_SECONDS:-60}"
    ;;
  targets)
    scripts/targets.sh
    ;;
  mpi)
    scripts/mpi.sh
    ;;
  aarch64)
    scripts/aarch64.sh
    ;;
  windows)
    scripts/windows.sh
    ;;
  wasm)
    scripts/wasm.sh
    ;;
  browser)
    scripts/browser.sh
    ;;
  python)
    scripts/python.sh 41 42 43
    ;;
  embedded)
    scripts/embedded.sh
    ;;
  compiled)
    scripts/compiled.sh
    ;;
  tuned)
    folder=$(mktemp -d)
    # shellcheck disable=SC2016  # the wrapper's own dollars
    printf '#!/bin/sh\nexec %s "$@" -mtune=skylake-avx512\n' "$(command -v g++)" >"$folder/g++"
    chmod +x "$folder/g++"
    git clone -q . "$folder/icrl"
    outcome=passed
    for script in demo.sh test.sh; do
      without_warnings env PATH="$folder:$PATH" CXX="$folder/g++" "$folder/icrl/scripts/$script" || outcome=FAILED
    done
    record "demo.sh and test.sh by a g++ with -mtune=skylake-avx512" "$outcome"
    rm -rf "$folder"
    [[ $outcome == passed ]]
    ;;
  bare)
    if ((EUID != 0)); then
      echo "not done: only root can make a root"
      exit "$not_done"
    fi
    failed=0
    for suite in bookworm trixie; do
      folder=$(mktemp -d) outcome=passed
      SUITE=$suite scripts/bare_root.sh "$folder" demo.sh test.sh 'package.sh install' || { outcome=FAILED failed=1; }
      record "demo.sh, test.sh and package.sh in a bare $suite" "$outcome"
      rm -rf --one-file-system "$folder"
    done
    exit "$failed"
    ;;
  docs)
    scripts/docs.sh
    ;;
  package)
    scripts/package.sh
    ;;
  claims)
    failed=0
    scripts/claims.sh || failed=1 # first, because it needs a working tree without changes
    scripts/tutorial.sh || failed=1
    exit "$failed"
    ;;
  *)
    echo "$0: there is no check ${checks[0]}" >&2
    exit 2
    ;;
esac
