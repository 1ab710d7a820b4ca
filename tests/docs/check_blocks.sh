#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Compiles every block of C++ in the README and in docs/ but those of the tutorial, with the headers that it includes itself. A block without a main is
# the body of one; a block without an #include of icrl goes on where the one before it on its page ended.
#   check_blocks.sh ROOT FOLDER COMPILER [FLAG...]     works in FOLDER; fails where a block does not compile
set -euo pipefail
root=$1 folder=$2
shift 2
# A block may show how to get a value without saying what to do with it.
command=("$@" -std=c++20 -pthread "-I$root/include" -Wno-unused-variable
  -Wno-unused-but-set-variable -Wno-unused-parameter)
rm -rf "$folder"
mkdir -p "$folder"
printf '#include <%s>\n' Eigen/Core fmt/format.h nlohmann/json.hpp >"$folder/libraries.hpp"

# Writes PAGE.LINE.cpp for each block.
for page in "$root"/README.md "$root"/docs/*.md; do
  [[ $page != */tutorial.md ]] || continue # its blocks are a program of their own, which is built and run
  awk -v prefix="$folder/$(basename "$page" .md)." '
    function finish() {
      if (name == "") return
      printf "%s\n", includes > name
      if (has_main) printf "%s", body > name
      else printf "int main() {\nusing namespace icrl;\n%s}\n", body > name
      close(name)
    }
    /^```cpp$/ { inside = 1; block = ""; block_includes = ""; names_icrl = 0; line = FNR; next }
    /^```$/ && inside {
      inside = 0
      if (names_icrl) {
        finish()
        includes = block_includes; body = block; has_main = block ~ /int main\(/
        name = prefix line ".cpp"
      } else {
        includes = includes block_includes; body = body block
        has_main = has_main || block ~ /int main\(/
        if (name == "") name = prefix line ".cpp"
      }
      next
    }
    inside && /^#include/ { block_includes = block_includes $0 "\n"; if (/<icrl\//) names_icrl = 1; next }
    inside { block = block $0 "\n" }
    END { finish() }' "$page"
done

parsed=(-include "$folder/libraries.hpp")
[[ $("$1" --version) != *clang* ]] || parsed=(-include-pch "$folder/libraries.hpp.gch")
"${command[@]}" -x c++-header "$folder/libraries.hpp" -o "$folder/libraries.hpp.gch"
find "$folder" -name '*.cpp' -print0 | xargs -0 -P "$(nproc)" -n 1 "${command[@]}" "${parsed[@]}" -fsyntax-only
echo "$(find "$folder" -name '*.cpp' | wc -l) programs"
