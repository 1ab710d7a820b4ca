#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing (emscripten takes 0.8 GB), then, compiled for WebAssembly and run by node, with and without
# SIMD128: the bits of integer models, the tests of their kernels, and 10,000 steps of a model that this machine trains,
# which have to give the same bits.
#   scripts/wasm.sh
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" catch2 clang emscripten nodejs
out=out/targets/wasm
train_integers "$out"
header_folder "$out/headers"
# Where Debian's emscripten has its JavaScript; a node of other origin does not look there.
export NODE_PATH=/usr/share/nodejs${NODE_PATH:+:$NODE_PATH}
# Compiled at once: node 18 on loads a module from memory only, which emscripten 3.1 does not know. Files are node's.
flags=(-std=c++20 -fexceptions -sALLOW_MEMORY_GROWTH -sNODERAWFS -sWASM_ASYNC_COMPILATION=0
  -Iinclude -Itests -isystem /usr/include/eigen3 -isystem "$out/headers" -DFMT_HEADER_ONLY)
read -ra warnings < <(sed -n 's/^set(icrl_warnings \(.*\))$/\1/p' cmake/dev.cmake)
flags+=("${warnings[@]}" -Werror)

failed=0
# Builds a program, and runs it: program SOURCE... FLAG... -- ARGUMENT...
program() {
  local build=()
  while [[ $1 != -- ]]; do build+=("$1") && shift; done
  em++ "${flags[@]}" "${build[@]}" -o "$out/program.js" && node "$out/program.js" "${@:2}"
}

for level in O1 O3; do
  for simd in '' -msimd128; do
    status=0
    say "em++ -$level${simd:+ $simd}"
    # shellcheck disable=SC2086  # no flag or one
    program tests/kernels/integer_bits.cpp "-$level" $simd -- || status=1
    # shellcheck disable=SC2086
    program tests/exchange/integer_model.cpp "-$level" $simd -- "$out/integers.safetensors" 10000 >"$out/found" || status=1
    cmp "$out/found" "$out/expected" || status=1
    outcome=passed
    ((status == 0)) || outcome=FAILED failed=1
    record "wasm: integer models by em++ -$level${simd:+ $simd}" "$outcome" "$(cat "$out/expected")"
    echo "$outcome: $(cat "$out/expected")"
  done
done

if [[ -e /usr/include/catch2/catch.hpp ]]; then # Catch2 3 is a library, which is not packaged for WebAssembly
  say "tests of the kernels"
  outcome=passed
  program tests/math/{int8_kernels,int8_simd128,cpu_level}_test.cpp tests/support/main.cpp -O1 -msimd128 -- ||
    outcome=FAILED failed=1
  record "wasm: tests of integer kernels" "$outcome"
fi
exit "$failed"
