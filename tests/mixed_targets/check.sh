#!/bin/sh
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Links a program of two files that use matrices. Compiled for one target they link, also with -flto and
# as a shared library; for different targets they do not, and the linker names
# icrl_error_files_of_this_program_were_compiled_with_different_march_flags.
#   [CXX=c++] check.sh [compiler [flags...]]     prints one line for each fault; fails when there is one
set -eu
here=$(cd "$(dirname "$0")" && pwd)

compiler=${1:-${CXX:-c++}}
[ $# -eq 0 ] || shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export LC_ALL=C

case $("$compiler" -dM -E -x c++ /dev/null) in
  *__ELF__*) ;;
  *) echo "left out: only files of ELF are checked"; exit ;;
esac

# object NAME SOURCE FLAG...
object() {
  to=$folder/$1.o
  source=$here/$2.cpp
  shift 2
  "$compiler" -std=c++20 -Wall -Wextra -Wpedantic -I"$here/../../include" -isystem /usr/include/eigen3 -fPIC "$@" \
    -c "$source" -o "$to" >"$folder/output" 2>&1 || fault "$source with $*: does not compile"
  [ ! -s "$folder/output" ] || fault "$source with $*: warns"
}

faults=0
fault() {
  echo "$1"
  sed 's/^/    /' "$folder/output"
  faults=$((faults + 1))
}

# links WHAT FLAG... -- the objects in $objects
links() {
  what=$1
  shift
  # shellcheck disable=SC2086  # several names
  if ! (cd "$folder" && "$compiler" "$@" $objects -o program >output 2>&1); then
    fault "$what: does not link"
  elif [ "$1" != -shared ] && ! "$folder/program"; then
    fault "$what: links, but is wrong"
  fi
}

differs() {
  what=$1
  shift
  # shellcheck disable=SC2086
  if (cd "$folder" && "$compiler" "$@" $objects -o program >output 2>&1); then
    fault "$what: links"
  elif ! grep -q icrl_error_files_of_this_program_were_compiled_with_different_march_flags "$folder/output"; then
    fault "$what: the linker does not say why"
  fi
}

other=-DEIGEN_MAX_ALIGN_BYTES=0 # on every target a difference in layout
case $("$compiler" -dM -E -x c++ /dev/null) in
  *__x86_64__*) march=-march=x86-64-v3 ;;
  *) march=$other ;;
esac

# shellcheck disable=SC2086  # flags
for flags in "-O2 -fPIC -flto" -O0; do
  object first first $flags "$@"
  object second second $flags "$@"
  object other second $flags "$@" "$other"
  objects="first.o second.o"
  links "one target, $flags" $flags "$@"
  links "a shared library, $flags" -shared -fPIC $flags "$@"
  objects="first.o other.o"
  differs "another alignment, $flags" $flags "$@"
done

object wider second -O0 "$@" "$march"
objects="first.o wider.o"
differs "$march beside the compiler's own target" "$@"
object without_math without_math -O0 -DFMT_HEADER_ONLY "$@" "$march"
objects="first.o second.o without_math.o"
links "an environment of $march" -O0 "$@"

[ $faults -eq 0 ] || { echo "$faults faults"; exit 1; }
echo "$compiler links files of one target, and no others"
