#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Models as headers: compiles each that write_policies writes as a device would, without exceptions and RTTI and with
# warnings as errors, and compares its life with that of the library's agent.
#   check.sh FOLDER WRITE_POLICIES COMPILER     works in FOLDER; fails where bits differ, or the compiler says anything
set -euo pipefail
folder=$1 write=$2 compiler=$3
here=$(cd "$(dirname "$0")" && pwd)
steps=500
rm -rf "$folder"
"$write" "$folder" "$steps"
plain=(-fno-exceptions -fno-rtti)
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wdouble-promotion -Werror)

# check HEADER NAME FLAG...: compiles the life, lives it, and compares.
check() {
  local policy=$1 program=$1.$2
  shift 2
  "$compiler" "${plain[@]}" "${warnings[@]}" "$@" -I"$here/.." -DPOLICY="\"$policy.hpp\"" -DSTEPS=$steps \
    "$here/run_policy.cpp" -o "$program" || return 1
  "$program" >"$program.found" || echo "$program: a call was refused"
  cmp "$policy.expected" "$program.found" || echo "$program with $*: $(cat "$program.found")"
}

# needs HEADER: what of a library the agent calls. Without optimization all functions are called that may be.
needs() {
  "$compiler" "${plain[@]}" -std=c++17 -O0 -ffreestanding -DPOLICY="\"$1.hpp\"" -c "$here/alone.cpp" -o "$1.alone.o"
  nm -u "$1.alone.o" | grep -vwE 'memcpy|memset|memmove|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail' |
    sed "s|^|${1##*/} calls |" || true
}

# refuses TEXT FLAG: no header compiles with that flag, and the error says TEXT.
refuses() {
  local said
  said=$("$compiler" -std=c++17 "$2" -fsyntax-only -DPOLICY="\"$folder/bits8.hpp\"" "$here/alone.cpp" 2>&1) || true
  [[ $said == *"$1"* ]] || echo "$2 is not refused"
}

{
  refuses "change the results" -ffast-math
  if [[ $("$compiler" --version) != *clang* ]]; then # which reports no others
    refuses "change the results" -freciprocal-math
    refuses "change the results" -fno-signed-zeros
    refuses "need 64 bits" -fsingle-precision-constant
  fi
} >"$folder/flags.log"

for expected in "$folder"/*.expected; do
  policy=${expected%.expected}
  {
    check "$policy" plain -std=c++17 -O1
    check "$policy" native -std=c++20 -O3 -march=native
    needs "$policy"
  } >"$policy.log" 2>&1 || echo "does not compile" >>"$policy.log" &
  while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n; done
done
wait
cat "$folder"/*.log
echo "$(find "$folder" -name '*.expected' | wc -l) models"
[[ -s $folder/bits8.expected && -z $(cat "$folder"/*.log) ]]
