#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing (emscripten takes 0.8 GB, Chromium 0.4 GB), builds the page with a frozen agent in WebAssembly,
# out/browser/index.html, and tests it: the agent by node, its integer models against this machine's bits, the page by
# headless Chromium.
#   scripts/browser.sh [build]     build: no tests, and no Chromium
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" emscripten nodejs
out=out/browser models=examples/browser/models
most_bytes=2500000
mkdir -p "$out"
header_folder "$out/headers"
# Where Debian's emscripten has its JavaScript; a node of other origin does not look there.
export NODE_PATH=/usr/share/nodejs${NODE_PATH:+:$NODE_PATH}

say "building the page"
flags=(-std=c++20 -O3 -msimd128 -DNDEBUG -fwasm-exceptions -sALLOW_MEMORY_GROWTH -Iinclude -Iexamples
  -isystem /usr/include/eigen3 -isystem "$out/headers" -DFMT_HEADER_ONLY)
em++ "${flags[@]}" examples/browser/core.cpp -o "$out/core.js" -sMODULARIZE -sEXPORT_NAME=createCore \
  -sENVIRONMENT=web,node -sEXPORTED_RUNTIME_METHODS=UTF8ToString
node examples/browser/bundle.mjs "$out" "$models" "$out/index.html"
bytes=$(wc -c <"$out/index.html")
((bytes <= most_bytes)) || { echo "$0: the page has $bytes bytes, $most_bytes are allowed" >&2; exit 1; }
[[ ${1:-} != build ]] || exit 0

need libcli11-dev chromium
failed=0
# check NAME COMMAND...
check() {
  local name=$1 outcome=passed
  shift
  say "$name"
  "$@" || outcome=FAILED failed=1
  record "browser: $name" "$outcome"
  echo "$outcome: $name"
}

# shellcheck disable=SC2317  # `check` calls these
float_models() {
  # Compiled at once: node 18 on loads a module from memory only, which emscripten 3.1 does not know.
  em++ "${flags[@]}" tests/browser/float_models.cpp -o "$out/float_models.js" -sENVIRONMENT=node -sWASM_ASYNC_COMPILATION=0 &&
    node "$out/float_models.js"
}
# shellcheck disable=SC2317
same_actions() {
  g++ -std=c++20 -O2 -pthread -Iinclude -Iexamples -isystem /usr/include/eigen3 tests/browser/native.cpp \
    examples/browser/core.cpp -o "$out/native" -lfmt &&
    (cd "$out" && ./native "$root/$models") >"$out/expected" &&
    node tests/browser/core_test.mjs "$out" "$models" actions >"$out/found" &&
    cmp "$out/found" "$out/expected" && echo "$(wc -l <"$out/found") lives of 10 episodes"
}
# shellcheck disable=SC2317
replay() {
  g++ -std=c++20 -O2 -pthread -Iinclude -Iexamples -isystem /usr/include/eigen3 examples/050_inspect.cpp \
    examples/support/program.cpp -o "$out/inspect" -lfmt &&
    "$out/inspect" --out "$out/inspect_files" --html "$out/replay.html" | tail -n 1
}

check "float models compute what plain arithmetic does" float_models
check "integer models act as they do here" same_actions
check "learning in WebAssembly" node tests/browser/core_test.mjs "$out" "$models" learning
check "a replay of a history" replay
check "the page in Chromium" node tests/browser/page_test.mjs "$out/index.html" "$out/replay.html" "$out"
exit "$failed"
