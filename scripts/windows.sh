#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing, then, compiled for Windows by MinGW's g++ and run by wine, once for any x86-64 CPU and once for
# AVX2:
#   headers    a program that includes icrl.hpp and windows.h, with warnings as errors, and self_test()
#   tests      those of math, nn, model, agent, history and io, and of the files of core, but for what they ask of Linux
#   example    020_distil_dark_room --quick, which writes, maps and replaces files
#   scripts/windows.sh [PART...]     by default all; goes on after a failure
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parts=("$@")
((${#parts[@]})) || parts=(headers tests example)
need "${build_tools[@]}" "${libraries[@]}" libcli11-dev catch2 g++-mingw-w64-x86-64-posix wine64
wine=$(command -v wine64 || echo /usr/lib/wine/wine64)
out=out/targets/windows
mkdir -p "$out"
header_folder "$out/headers"
ln -sfn /usr/include/eigen3 "$out/headers/eigen3"
export WINEPREFIX=$PWD/out/wine WINEDEBUG=-all

# What cmake/library.cmake tells g++ for Windows as well; see there.
common=(-std=c++20 -static -Wall -Wextra -Wshadow -Werror '-Wa,-muse-unaligned-vector-move' -Iinclude -isystem "$out/headers"
  -isystem "$out/headers/eigen3" -DFMT_HEADER_ONLY)
test_flags=(-O1 -Itests -Itests/windows -DSIGBUS=SIGSEGV)
compile() { x86_64-w64-mingw32-g++-posix "${common[@]}" "$@"; }

failed=0
# Notes whether the last part succeeded: noted NAME EXIT_STATUS [TEXT]
noted() {
  local outcome=passed
  (($2 == 0)) || outcome=FAILED failed=1
  record "windows: $1" "$outcome" "${3:-}"
  echo "$outcome: $1${3:+, $3}"
}

# All tests of a module but those that need a forked process or a call of Linux.
tests_of() {
  local file
  for file in tests/"$1"/*_test.cpp; do
    grep -qE 'sys/(wait|syscall|file)\.h|forked_process|small_disk' "$file" || printf '#include "%s/%s"\n' "$PWD" "$file"
  done
}

for part in "${parts[@]}"; do
  for march in x86-64 x86-64-v3; do
    say "windows: $part, $march"
    status=0
    case $part in
      headers)
        cat >"$out/headers.cpp" <<'PROGRAM'
#include <icrl/icrl.hpp>

#include <windows.h>

#include <cstdio>

int main() {
  try {
    icrl::self_test();
  } catch (const icrl::Error& error) {
    std::puts(error.what());
    return 1;
  }
}
PROGRAM
        compile "-march=$march" -O2 -Wpedantic -Wconversion -Wsign-conversion "$out/headers.cpp" -o "$out/headers.exe" &&
          "$wine" "$out/headers.exe" || status=1
        noted "icrl.hpp and self_test, $march" "$status"
        if [[ $march == x86-64-v3 ]]; then # without the flag
          status=0
          x86_64-w64-mingw32-g++-posix "${common[@]/-Wa,*/-O2}" "-march=$march" "$out/headers.cpp" -o "$out/no_flag.exe" || status=1
          text=$("$wine" "$out/no_flag.exe" 2>&1) && status=1
          [[ $text == *'bug 54412'* ]] || status=1
          noted "self_test refuses AVX with aligned moves" "$status"
        fi
        ;;
      tests)
        rm -f "$out"/*.{o,log,exe}
        for source in main alloc_counter advice_log; do
          compile "${test_flags[@]}" -c "tests/support/$source.cpp" -o "$out/$source.o" || true # what needs it does not link
        done
        for module in core math nn model agent history io; do
          if [[ $module == core ]]; then
            printf '#include "%s/tests/core/%s_test.cpp"\n' "$PWD" os_file "$PWD" checked_file >"$out/$module.cpp"
          else
            tests_of "$module" >"$out/$module.cpp"
          fi
          status=0
          : >"$out/$module.log" # which nothing fills if it does not compile
          compile "-march=$march" "${test_flags[@]}" "$out/$module.cpp" "$out"/{main,alloc_counter,advice_log}.o \
            -o "$out/$module.exe" && "$wine" "$out/$module.exe" '~[slow]' >"$out/$module.log" || status=1
          ((status == 0)) || tail -n 40 "$out/$module.log"
          noted "tests of $module, $march" "$status" "$(grep -aE '^(All tests passed|test cases:)' "$out/$module.log" | tr -d '\r' | tail -n 1 || true)"
        done
        ;;
      example)
        compile "-march=$march" -O2 -Iexamples examples/020_distil_dark_room.cpp examples/support/program.cpp \
          -o "$out/020_distil_dark_room.exe" &&
          "$wine" "$out/020_distil_dark_room.exe" --quick --out "$out/020" || status=1
        noted "020_distil_dark_room --quick, $march" "$status"
        ;;
      *)
        echo "$0: there is no part $part" >&2
        exit 2
        ;;
    esac
  done
done
exit "$failed"
