#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing, then, compiled for aarch64 and run by qemu:
#   kernels    tests/kernels at each level
#   tests      those of math, nn, model, agent, history, io and train, without those tagged slow
#   exchange   models, transitions and logits that one processor writes and the other one reads (tests/exchange)
#   scripts/aarch64.sh [PART...]     by default all; goes on after a failure
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parts=("$@")
((${#parts[@]})) || parts=(kernels tests exchange)
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
  record "aarch64: $1" "$outcome${3:+, $3}"
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
    *)
      echo "$0: there is no part $part" >&2
      exit 2
      ;;
  esac
done
exit "$failed"
