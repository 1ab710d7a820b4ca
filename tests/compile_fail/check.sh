#!/bin/sh
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Compiles types that break one promise each. The compiler must refuse them in at most 25 lines that name the concept
# after "breaks:" as not satisfied and hold the text after "shows:"; where a static_assert refuses them, the text after "says:" is
# its sentence, which must stand among the first ten lines. The case "none" must compile. Then the flags that no program that includes icrl can be right
# with: the compiler must refuse them in the words of core/target.hpp.
#   [CXX=c++] check.sh [compiler [flags...]]     prints one line for each fault; fails when there is one
set -eu
here=$(cd "$(dirname "$0")" && pwd)
most_lines=25

compiler=${1:-${CXX:-c++}}
[ $# -eq 0 ] || shift
output=$(mktemp)
trap 'rm -f "$output" "$output.cpp"' EXIT
export LC_ALL=C # plain quotes, no translations

compiles() {
  source=$1
  shift
  "$compiler" -std=c++20 -fsyntax-only -I"$here/../../include" "$@" "$source" >"$output" 2>&1
}

faults=0
fault() {
  echo "$1"
  sed 's/^/    /' "$output"
  faults=$((faults + 1))
}

cases=0
for source in "$here"/cases/*.cpp; do
  name=$(basename "$source" .cpp)
  cases=$((cases + 1))
  : >"$output"
  if [ "$name" = none ]; then
    compiles "$source" "$@" || fault "none: breaks no promise, but does not compile"
    continue
  fi
  promise=$(sed -n 's|^// breaks: ||p' "$source")
  text=$(sed -n 's|^// shows: ||p' "$source")
  sentence=$(sed -n 's|^// says: ||p' "$source")
  if [ -n "$sentence" ]; then
    if compiles "$source" "$@"; then
      fault "$name: compiles"
    elif ! head -n 10 "$output" | grep -qF "$sentence"; then
      fault "$name: the first ten lines do not say \"$sentence\""
    fi
  elif [ -z "$promise" ] || [ -z "$text" ]; then
    fault "$name: says not what it breaks and what the compiler shows"
  elif compiles "$source" "$@"; then
    fault "$name: compiles, though it breaks $promise"
  elif [ "$(wc -l <"$output")" -gt $most_lines ]; then
    fault "$name: an error of $(wc -l <"$output") lines, at most $most_lines are readable"
  elif ! grep -q "satisf.*['\`]$promise\b" "$output"; then
    fault "$name: the error does not say that $promise is not satisfied"
  elif ! grep -qF "$text" "$output"; then
    fault "$name: the error does not show \"$text\""
  fi
done

# refuses TEXT FLAG [FLAG...]: left out where the compiler does not know the flags.
refuses() {
  text=$1
  shift
  echo 'int main() {}' >"$output.cpp"
  "$compiler" -fsyntax-only "$@" "$output.cpp" >"$output" 2>&1 || return 0
  cases=$((cases + 1))
  # Without one header of the system: those of other word sizes may not be installed.
  echo '#include <icrl/core/target.hpp>' >"$output.cpp"
  if compiles "$output.cpp" "$@"; then
    fault "$*: compiles"
  elif [ "$(grep -c 'error:' "$output")" -ne 1 ] || ! grep -qF -e "$text" "$output"; then
    fault "$*: the error does not show \"$text\", or is not the only one"
  fi
}

for flag in -ffast-math -Ofast -ffinite-math-only; do
  refuses "remove icrl's checks for NaN and infinity" "$flag"
  compiles "$output.cpp" "$flag" -fno-fast-math || fault "$flag -fno-fast-math: does not compile"
done
if compiles "$here/cases/none.cpp" -ffast-math; then fault "-ffast-math: none.cpp compiles"; fi
case $("$compiler" -fassociative-math -fno-signed-zeros -fno-trapping-math -dM -E -x c++ /dev/null 2>/dev/null) in
  *__ASSOCIATIVE_MATH__*) # others do not tell
    refuses "reorder sums whose order icrl relies on" -fassociative-math -fno-signed-zeros -fno-trapping-math
    refuses "reorder sums whose order icrl relies on" -funsafe-math-optimizations ;;
esac
refuses "compile with -mfpmath=sse" -mfpmath=387
refuses "icrl is for g++ and clang" -D_MSC_VER=1930
refuses "icrl is for 64-bit targets" -m32
refuses "icrl is for 64-bit targets" -mx32

[ $faults -eq 0 ] || { echo "$faults faults in $cases cases"; exit 1; }
echo "$compiler refuses what breaks a promise, readably: $cases cases"
