#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing, then, compiled for aarch64 and run by qemu:
#   kernels    tests/kernels at each level
#   tests      those of math, nn, model, agent, history, io and train, without those tagged slow
#   exchange   models, transitions and logits that one processor writes and the other one reads (tests/exchange)
#   integers   integer models, by g++ and clang, on a CPU with dot products and on one without: the kernels' tests, and
#              10,000 steps of a model that this machine trains, which have to give the same bits
#   scripts/aarch64.sh [PART...]     by default all; goes on after a failure
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parts=("$@")
((${#parts[@]})) || parts=(kernels tests exchange integers)
need "${build_tools[@]}" "${libraries[@]}" libcli11-dev catch2 g++-aarch64-linux-gnu qemu-user-static
out=out/targets/aarch64
cross=aarch64-linux-gnu-g++
mkdir -p "$out"

# exchange NAME: what runs tests/exchange as built for that target.
exchange() {
  local name=$1
  shift
  case $name in
    aarch64) qemu-aarch64-static -L /usr/aarch64-linux-gnu "$out/exchange_$name" "$@" ;;
    *) "$out/exchange_$name" "$@" ;;
  esac
}

failed=0
# Notes whether the last part succeeded: noted NAME EXIT_STATUS [TEXT]
noted() {
  local outcome=passed
  (($2 == 0)) || outcome=FAILED failed=1
  record "aarch64: $1" "$outcome" "${3:-}"
  echo "$outcome: $1${3:+, $3}"
}

for part in "${parts[@]}"; do
  say "aarch64: $part"
  case $part in
    kernels)
      status=0
      for level in O1 O2 O3 Os; do
        MODULES='' DEMO='' scripts/build_target.sh tests "$out/kernels.$level" "$cross" armv8-a generic "$level" \
          no-lto strict || status=1
      done
      noted "kernels at -O1, -O2, -O3, -Os" "$status"
      ;;
    tests)
      status=0
      KERNELS=no MODULES='math nn model agent history io train' DEMO='' scripts/build_target.sh tests "$out/tests" \
        "$cross" armv8-a generic O2 no-lto strict || status=1
      noted "tests of math, nn, model, agent, history, io, train" "$status" \
        "$(grep -hE '^(All tests passed|test cases:)' "$out/tests.log" | tail -n 1)"
      ;;
    exchange)
      flags=(-std=c++20 -O2 -pthread -Iinclude -isystem /usr/include/eigen3)
      g++ "${flags[@]}" tests/exchange/exchange.cpp -o "$out/exchange_x86-64" -lfmt
      g++ "${flags[@]}" -march=native tests/exchange/exchange.cpp -o "$out/exchange_native" -lfmt
      header_folder "$out/headers"
      "$cross" "${flags[@]}" -isystem "$out/headers" -DFMT_HEADER_ONLY tests/exchange/exchange.cpp \
        -o "$out/exchange_aarch64"
      for writer in x86-64 native aarch64; do
        rm -rf "$out/from_$writer"
        mkdir "$out/from_$writer"
        exchange "$writer" write "$out/from_$writer"
        for reader in x86-64 native aarch64; do
          status=0
          text=$(exchange "$reader" read "$out/from_$writer") || status=1
          [[ $reader == "$writer" && $status == 0 ]] || noted "exchange, written by $writer, read by $reader" "$status" "$text"
        done
      done
      ;;
    integers)
      need clang
      train_integers "$out/integers"
      header_folder "$out/headers"
      flags=(-std=c++20 -pthread -Iinclude -Itests -isystem /usr/include/eigen3 -isystem "$out/headers" -DFMT_HEADER_ONLY)
      link=()
      [[ ! -e /usr/include/catch2/catch_test_macros.hpp ]] || link=(-lCatch2Main -lCatch2)
      for compiler in "$cross" 'clang++ --target=aarch64-linux-gnu'; do
        for level in O1 O3; do
          status=0
          for source in kernels/integer_bits exchange/integer_model; do
            # shellcheck disable=SC2086  # a compiler and its target
            $compiler "${flags[@]}" "-$level" "tests/$source.cpp" -o "$out/integers/$(basename "$source")" || status=1
          done
          for cpu in max cortex-a53; do
            run=(qemu-aarch64-static -cpu "$cpu" -L /usr/aarch64-linux-gnu)
            echo "$compiler -$level, $cpu"
            "${run[@]}" "$out/integers/integer_bits" || status=1
            "${run[@]}" "$out/integers/integer_model" "$out/integers/integers.safetensors" 10000 >"$out/integers/found" ||
              status=1
            cmp "$out/integers/found" "$out/integers/expected" || status=1
          done
          noted "integer models by $compiler -$level, with and without dot products" "$status" \
            "$(cat "$out/integers/expected")"
        done
        status=0
        # shellcheck disable=SC2086  # a compiler and its target
        $compiler "${flags[@]}" -O2 tests/math/{int8_kernels,int8_simd128,cpu_level}_test.cpp tests/support/main.cpp \
          -o "$out/integers/tests" "${link[@]}" || status=1
        for cpu in max cortex-a53; do
          qemu-aarch64-static -cpu "$cpu" -L /usr/aarch64-linux-gnu "$out/integers/tests" || status=1
        done
        noted "tests of integer kernels by $compiler, with and without dot products" "$status"
      done
      ;;
    *)
      echo "$0: there is no part $part" >&2
      exit 2
      ;;
  esac
done
exit "$failed"
