#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Builds for one target, with warnings as errors, and runs what it built if this machine's processor can. Used by
# targets.sh and aarch64.sh, which may run it in another root; installs nothing.
#   build_target.sh attend OUT TOOLCHAIN MARCH MTUNE                      tests/kernels/attend.cpp at each level, with
#                                                                         and without -flto and -fno-strict-aliasing
#   build_target.sh tests OUT TOOLCHAIN MARCH MTUNE LEVEL LTO ALIASING    kernels (unless $KERNELS is "no"), the tests of
#                                                                         the modules $MODULES, the example $DEMO
#   build_target.sh runs - - MARCH                                        nothing; whether this processor runs MARCH's code
# The values are those of tests/targets/cover.txt; TOOLCHAIN may also be the name of a compiler. OUT is the path, without
# an ending, of what this writes: OUT.log, and OUT.tsv with one line "outcome, target, seconds, what failed".
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
what=$1 out=$2 toolchain=$3 march=$4 mtune=${5:-generic}
# The processor's features, as /proc/cpuinfo names them, that code for $march needs.
case $march in
  x86-64-v2) features='sse4_2 popcnt' ;;
  x86-64-v3) features='avx2 fma bmi2 movbe' ;;
  x86-64-v4) features='avx512f avx512bw avx512cd avx512dq avx512vl' ;;
  x86-64-v4+bf16) features='avx512f avx512bw avx512cd avx512dq avx512vl avx512_bf16 avx512_vnni' ;;
  sandybridge) features='avx aes pclmulqdq' ;;
  knl-like) features='avx2 fma bmi2 avx512f avx512cd' ;;
  *) features='' ;;
esac
runs=yes
for feature in $features; do
  has_feature "$feature" || runs=no
done
[[ $what != runs ]] || { [[ $runs == yes ]]; exit; }

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
levels=(O1 O2 O3 Os)
[[ ${CC_LEVELS:-} ]] && read -ra levels <<<"$CC_LEVELS"

read -ra warnings < <(sed -n 's/^set(icrl_warnings \(.*\))$/\1/p' cmake/dev.cmake)
common=(-std=c++20 -pthread -Iinclude -Itests -Iexamples -isystem /usr/include/eigen3 "${warnings[@]}" -Werror)
link=()
runner=()

# ---- what the target's names mean ----
case $toolchain in
  clang-*-libc++)
    version=${toolchain#clang-}
    compiler=("clang++-${version%-libc++}" -stdlib=libc++)
    common+=(-DFMT_HEADER_ONLY) # the packaged fmt belongs to the other library
    ;;
  clang-*) compiler=("clang++-${toolchain#clang-}") ;;
  aarch64-*)
    compiler=("$toolchain")
    common+=(-DFMT_HEADER_ONLY -isystem "$build/headers")
    header_folder "$build/headers"
    runner=(qemu-aarch64-static -L /usr/aarch64-linux-gnu)
    ;;
  *) compiler=("$toolchain") ;;
esac
[[ " ${common[*]} " == *FMT_HEADER_ONLY* ]] || link+=(-lfmt)

case $march in
  x86-64-v4+bf16) machine=(-march=x86-64-v4 -mavx512bf16 -mavx512vnni) ;;
  knl-like) machine=(-march=x86-64-v3 -mavx512f -mavx512cd) ;;
  *) machine=("-march=$march") ;;
esac
machine+=("-mtune=$mtune")
mkdir -p "$(dirname "$out")"
exec 3>&1 >"$out.log" 2>&1

# Runs a command and notes it; says nothing but whether it succeeded.
step() {
  echo "+ $*"
  "$@"
}

run() { [[ $runs == no ]] || step timeout 1200 "${runner[@]}" "$@"; }

# finish TARGET [WHAT FAILED]
finish() {
  local outcome=passed
  [[ $runs == yes ]] || outcome=built
  [[ -z ${2:-} ]] || outcome=FAILED
  printf '%s\t%s\t%s\t%s\n' "$outcome" "$1" "$SECONDS" "${2:-}" >"$out.tsv.new"
  mv "$out.tsv.new" "$out.tsv"
  cat "$out.tsv" >&3
  [[ $outcome != FAILED ]]
}

flags_of() { # LEVEL LTO ALIASING
  flags=("-$1" "${machine[@]}")
  [[ $2 == no-lto ]] || flags+=(-flto)
  [[ $3 == strict ]] || flags+=(-fno-strict-aliasing)
}

# ---- one kernel, every level ----
# What takes longest is done once: parsing the libraries, at -O2 and at each level whose compiler refuses that; g++'s
# machine code for -flto and without it, in one object that holds both; a run, per program.
parse() { # LEVEL
  local headers='algorithm array cmath concepts cstdint limits memory mutex string vector Eigen/Core'
  mkdir "$build/$1"
  # shellcheck disable=SC2086  # one word per header
  printf '#include <%s>\n' $headers >"$build/$1/libraries.hpp"
  step "${compiler[@]}" "${common[@]}" "${machine[@]}" "-$1" -x c++-header "$build/$1/libraries.hpp" \
    -o "$build/$1/libraries.hpp.gch" || true # without it each program parses them itself
}

# Sets `parsed` to what includes the libraries as they were parsed at a level.
take_parsed() { # LEVEL
  parsed=(-Winvalid-pch -include "$build/$1/libraries.hpp")
  [[ ${compiler[0]} != clang* ]] || parsed=(-include-pch "$build/$1/libraries.hpp.gch")
}

attend() {
  local level lto aliasing wrong sum
  failed=
  parse O2
  touch "$build/right"
  for level in "${levels[@]}"; do
    take_parsed O2
    if ! step "${compiler[@]}" "${common[@]}" "${machine[@]}" "-$level" "${parsed[@]}" -fsyntax-only -x c++ /dev/null; then
      parse "$level"
      take_parsed "$level"
    fi
    for aliasing in strict no-strict; do
      for lto in no-lto lto; do
        flags_of "$level" "$lto" "$aliasing"
        object=(-c tests/kernels/attend.cpp -o "$build/$lto.o")
        wrong=
        if [[ ${compiler[0]} == clang* ]]; then
          step "${compiler[@]}" "${common[@]}" "${flags[@]}" "${parsed[@]}" "${object[@]}" || wrong='does not compile'
        elif [[ $lto == no-lto ]]; then
          step "${compiler[@]}" "${common[@]}" "${flags[@]}" -flto -ffat-lto-objects "${parsed[@]}" "${object[@]}" ||
            wrong='does not compile'
          flags+=(-fno-lto)
        else
          ln -f "$build/no-lto.o" "$build/lto.o" || wrong='does not compile'
        fi
        if [[ -z $wrong ]]; then
          step "${compiler[@]}" "${common[@]}" "${flags[@]}" "$build/$lto.o" -o "$build/attend" "${link[@]}" ||
            wrong='does not link'
        fi
        if [[ -z $wrong && $runs == yes ]]; then
          strip -o "$build/stripped" "$build/attend"
          sum=$(sha1sum <"$build/stripped")
          if ! grep -q "$sum" "$build/right"; then
            if run "$build/attend"; then echo "$sum" >>"$build/right"; else wrong='gives wrong numbers'; fi
          fi
        fi
        rm -f "$build/attend"
        [[ -z $wrong ]] || failed+="${failed:+; }$level $lto $aliasing $wrong"
      done
      rm -f "$build"/*.o
    done
  done
}

# ---- the tests ----
# All files of the tests of some modules as one: each stands in a namespace of its own, behind all that any includes.
tests_as_one() {
  local module file sources=() number=0
  for module in "$@"; do sources+=("tests/$module"/*_test.cpp); done
  grep -h '^#include' "${sources[@]}" | sort -u
  for file in "${sources[@]}"; do
    number=$((number + 1))
    printf 'namespace file_%d {\n#include "%s"\n}\n' "$number" "$PWD/$file"
  done
}

# Sets `failed` to what is the first to fail.
try_tests() {
  local source name catch=() support=(tests/support/{advice_log,alloc_counter}.cpp)
  for source in tests/kernels/*.cpp; do
    [[ ${KERNELS:-} != no ]] || break
    name=$(basename "$source" .cpp)
    failed="kernel $name"
    step "${compiler[@]}" "${common[@]}" "${flags[@]}" "$source" -o "$build/kernel" "${link[@]}" &&
      run "$build/kernel" || return
  done
  if [[ -n ${MODULES:-} ]]; then
    [[ ! -e /usr/include/catch2/catch_test_macros.hpp ]] || catch=(-lCatch2)
    # shellcheck disable=SC2086  # one word per module
    tests_as_one $MODULES >"$build/tests.cpp"
    failed='tests do not compile'
    # What g++ 12 takes for uninitialized in its own intrinsics of AVX-512, which Eigen uses (its bug 105593), it hides as
    # a system header's, but not when it links what -flto has left until then. The kernels and the demo do without.
    local known=()
    if [[ ${compiler[0]} == g++-12 && "${flags[*]}" == *-flto* && $features == *avx512* ]]; then
      known=(-Wno-uninitialized -Wno-maybe-uninitialized)
    fi
    # Catch2 itself is no matter of levels.
    step "${compiler[@]}" "${common[@]}" -O0 -c tests/support/main.cpp -o "$build/main.o" &&
      step "${compiler[@]}" "${common[@]}" "${flags[@]}" "${known[@]}" "$build/tests.cpp" \
        "${support[@]}" "$build/main.o" -o "$build/tests" "${catch[@]}" "${link[@]}" || return
    failed='a test'
    run "$build/tests" '~[slow]' || return
  fi
  if [[ -n ${DEMO:-} ]]; then
    failed="$DEMO does not compile"
    step "${compiler[@]}" "${common[@]}" "${flags[@]}" "examples/$DEMO.cpp" examples/support/program.cpp \
      -o "$build/demo" "${link[@]}" || return
    failed=$DEMO
    run "$build/demo" --quick --out "$build/demo_output" || return
  fi
  failed=
}

case $what in
  attend)
    attend
    finish "$toolchain $march $mtune" "$failed"
    ;;
  tests)
    flags_of "$6" "$7" "$8"
    try_tests || true
    finish "$toolchain $march $mtune $6 $7 $8" "$failed"
    ;;
  *) exit 2 ;;
esac
