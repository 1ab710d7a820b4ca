#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Builds for many targets (compilers, levels, processors: tests/targets/cover.txt), with warnings as errors, and runs what
# this processor can run:
#   cross   tests/kernels/attend.cpp on every combination of all values
#   cover   all kernels, the tests of math, nn, model, agent and train and a short demo on the targets of cover.txt
#   table   writes docs/targets.md from what the others found
#   quick   the kernels and the tests of nn and model on four targets that g++ alone can build for: a few minutes
#   scripts/targets.sh [PART...]     by default cross, cover and table; goes on after a failure
# What has passed for the same sources, here or on another machine, is not done again: outcomes are kept in
# docs/results/targets.tsv, logs in out/targets. What this processor cannot run is done last, and compiled only. Compilers
# that this release does not have come from a root of another one in out/roots (or $ICRL_ROOTS); only root can make one.
# Exits with 77 where nothing failed but a compiler was left out.
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parts=("$@")
((${#parts[@]})) || parts=(cross cover table)
roots=${ICRL_ROOTS:-$root/out/roots}
own_suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)

# ---- compilers and where they are ----
suite_of() {
  case $1 in
    g++-14 | clang-22) echo trixie ;;
    g++ | aarch64-*) echo "$own_suite" ;;
    *) echo bookworm ;;
  esac
}

packages_of() {
  case $1 in
    *-libc++)
      local version=${1#clang-}
      version=${version%-libc++}
      echo "clang-$version libc++-$version-dev libc++abi-$version-dev"
      ;;
    *) echo "$1" ;;
  esac
}

values_of() { awk -v name="$1" '$1 == "dimension" && $2 == name { for (i = 3; i <= NF; ++i) print $i }' tests/targets/cover.txt; }

# Installs a compiler and the libraries where it belongs; fails where there is no right to make a root.
prepare() {
  local suite
  suite=$(suite_of "$1")
  # shellcheck disable=SC2046  # one word per package
  if [[ $suite == "$own_suite" ]]; then
    need $(packages_of "$1") "${libraries[@]}" libcli11-dev catch2
  else
    ((EUID == 0)) || return 1
    make_root "$suite" "$roots/$suite"
    in_root "$roots/$suite" /bin/bash -c "source scripts/common.sh && need $(packages_of "$1") ${libraries[*]} libcli11-dev catch2"
  fi
}

# ---- what has been done ----
find_states() {
  need g++ "${libraries[@]}" libcli11-dev catch2
  cross=$(state_of tests/kernels/attend.cpp)
  cover=$(state_of tests/kernels/*.cpp tests/{math,nn,model,agent,train}/*_test.cpp tests/support/*.cpp \
    examples/020_distil_dark_room.cpp examples/support/program.cpp)
}

# Whether this processor runs what is compiled for -march=$1.
runs_here() { scripts/build_target.sh runs - - "$1"; }

# Reads lines "part, sources, arguments of build_target.sh but its OUT", leaves those out that are done, and works on as
# many at a time as there are processors, first on what runs here.
work() {
  local part sources what target march known lines=() compiled=()
  while read -r part sources what target; do
    known=$(kept "$part" "$target" "$sources")
    read -r _ march _ <<<"$target"
    if runs_here "$march"; then
      [[ $known == passed ]] || lines+=("$part $sources $what $target")
    else
      [[ $known == passed || $known == built ]] || compiled+=("$part $sources $what $target")
    fi
  done
  lines+=("${compiled[@]}")
  ((${#lines[@]})) || return 0
  echo "${#lines[@]} to do, ${#compiled[@]} of them only to compile"
  printf '%s\n' "${lines[@]}" | xargs -r -d '\n' -P "$(job_count)" -n 1 "$root/scripts/targets.sh" --one || true
}

# Does one line and keeps what came of it. Never fails: the table tells.
one() {
  local part=$1 sources=$2 what=$3 toolchain=$4 out suite outcome target seconds text
  shift 3
  out=out/targets/$part/${*// /.}
  out=${out// /.}
  rm -f "$out.tsv"
  suite=$(suite_of "$toolchain")
  if [[ $suite == "$own_suite" ]]; then
    scripts/build_target.sh "$what" "$out" "$@" || true
  else
    in_root "$roots/$suite" scripts/build_target.sh "$what" "$out" "$@" || true
  fi
  outcome=FAILED target=$* seconds=0 text='did not finish'
  [[ ! -e $out.tsv ]] || IFS=$'\t' read -r outcome target seconds text <"$out.tsv"
  keep "$part" "$target" "$sources" "$outcome" "$seconds" "$text"
}

version_of() { # TOOLCHAIN
  local compiler suite
  compiler=${1%-libc++}
  compiler=${compiler/#clang-/clang++-}
  suite=$(suite_of "$1")
  if [[ $suite == "$own_suite" ]]; then
    "$compiler" --version | head -n 1
  else
    in_root "$roots/$suite" "/usr/bin/$compiler" --version | head -n 1
  fi
}

# Prepares those of the toolchains that can be had, and leaves their names in `toolchains`.
left_out=no
prepare_all() {
  toolchains=()
  for toolchain in $(values_of toolchain); do
    if prepare "$toolchain"; then
      toolchains+=("$toolchain")
      keep toolchain "$toolchain" "$(suite_of "$toolchain")" installed 0 "$(version_of "$toolchain")"
    else
      left_out=yes
      echo "left out: $toolchain, which is in a release of its own, and only root can make a root"
    fi
  done
}

# outcomes PART SOURCES OUTCOME [WORD...]: how many lines of a part have this outcome and a target with these words.
outcomes() {
  awk -F '\t' -v part="$1" -v sources="$2" -v outcome="$3" -v words="${*:4}" '
    BEGIN { n = split(words, word, " ") }
    $1 == part && $3 == sources && $4 == outcome {
      all = 1
      for (i = 1; i <= n; ++i) all = all && index(" " $2 " ", " " word[i] " ")
      count += all
    }
    END { print count + 0 }' "$kept_in"
}

# Prints what failed in a part; fails where something did, or where a line is missing though its compiler is there.
failures() { # PART SOURCES COUNT
  local passed built failed
  passed=$(outcomes "$1" "$2" passed) built=$(outcomes "$1" "$2" built) failed=$(outcomes "$1" "$2" FAILED)
  awk -F '\t' -v part="$1" -v sources="$2" '$1 == part && $3 == sources && $4 == "FAILED" { print $4 "\t" $2 "\t" $6 }' "$kept_in"
  echo "$passed passed, $built built, $failed failed, $(($3 - passed - built - failed)) not done of $3"
  ((failed == 0)) && { [[ $left_out == yes ]] || ((passed + built == $3)); }
}

# ---- the table ----
write_table() {
  local toolchain march target line cell outcome each combinations sources
  each=$(($(values_of level | wc -l) * 4))
  combinations=$(($(values_of mtune | wc -l) * each))
  cat <<TEXT
<!-- SPDX-FileCopyrightText: The icrl authors -->
<!-- SPDX-License-Identifier: MIT -->
# Targets

What was compiled and run where. Written by \`scripts/targets.sh table\` from [results/targets.tsv](results/targets.tsv), in
which \`scripts/check.sh targets aarch64 windows wasm embedded tsan tuned bare fuzz\` keeps outcomes; not by hand. Warnings are errors
everywhere. *Passed*: compiled without a warning, run, right. *Built*: compiled without a warning; no processor that it was
tried on has the instructions to run it. *Not done*: not since the sources changed. A check without a row below has no recorded outcome.

Processors, and how many of the outcomes below are from each:

TEXT
  awk -F '\t' -v cross="$cross" -v cover="$cover" '($1 == "cross" && $3 == cross) || ($1 == "cover" && $3 == cover) { ++count[$7] }
    END { for (p in count) print "- " p ": " count[p] }' "$kept_in" | sort
  cat <<TEXT

| toolchain | release | compiler |
|---|---|---|
TEXT
  awk -F '\t' '$1 == "toolchain" { print "| " $2 " | Debian " $3 " | " $6 " |" }' "$kept_in"
  cat <<TEXT

## Every combination

\`tests/kernels/attend.cpp\`, which compares \`attend\` with a plain loop in double precision, at the pages' edges; sources
$cross. Each cell: passed of all combinations of $(values_of mtune | wc -l) \`-mtune\` ($(values_of mtune | paste -sd, | sed 's/,/, /g')),
$(values_of level | wc -l) levels ($(values_of level | paste -sd, | sed 's/,/, /g')), with and without \`-flto\` and \`-fno-strict-aliasing\`.

| \`-march\` | $(values_of toolchain | paste -sd'|' | sed 's/|/ | /g') |
|---|$(values_of toolchain | sed 's/.*/---|/' | paste -sd'\0')
TEXT
  for march in $(values_of march); do
    printf '| %s |' "$march"
    for toolchain in $(values_of toolchain); do
      cell="$(($(outcomes cross "$cross" passed "$toolchain" "$march") * each)) of $combinations"
      outcome=$(outcomes cross "$cross" built "$toolchain" "$march")
      ((outcome == 0)) || cell+=", built $((outcome * each))"
      outcome=$(outcomes cross "$cross" FAILED "$toolchain" "$march")
      ((outcome == 0)) || cell+=", **failed in $outcome of $(values_of mtune | wc -l) \`-mtune\`**"
      printf ' %s |' "$cell"
    done
    echo
  done
  cat <<TEXT

$(($(outcomes cross "$cross" passed) * each)) passed, $(($(outcomes cross "$cross" built) * each)) built.

## Each two values together

All kernels, the tests of math, nn, model, agent and train without those tagged slow, and \`020_distil_dark_room --quick\`, on
targets in which each two values of different dimensions meet (of \`-march\` and \`-mtune\` 35 of their 49 pairs); sources
$cover.

| compiler | \`-march\` | \`-mtune\` | level | \`-flto\` | aliasing | outcome | seconds |
|---|---|---|---|---|---|---|---|
TEXT
  while read -r target; do
    line=$(awk -F '\t' -v target="$target" -v sources="$cover" '$1 == "cover" && $2 == target && $3 == sources {
      print $4 ($6 == "" ? "" : ": " $6) " | " $5 }' "$kept_in")
    echo "| ${target// / | } | ${line:-not done | } |"
  done < <(sed -n 's/^target //p' tests/targets/cover.txt)
  cat <<TEXT

## Inputs from outside

What \`scripts/fuzz.sh\` tried since the sources of each target changed, under the address and the undefined-behavior sanitizer.

| target | outcome | inputs | seconds |
|---|---|---|---|
TEXT
  awk -F '\t' '$1 == "fuzz" { print $2 " " $3 }' "$kept_in" | while read -r target sources; do
    [[ $sources == "$(fuzz_state_of "$target")" ]] || continue
    awk -F '\t' -v target="$target" '$1 == "fuzz" && $2 == target { print "| " $2 " | " $4 " | " $6 " | " $5 " |" }' "$kept_in"
  done
  cat <<TEXT

## Beside them

| check | sources as of | outcome | processor |
|---|---|---|---|
TEXT
  awk -F '\t' '$1 == "check" { print "| " $2 " | " $3 " | " $4 ($6 == "" ? "" : ", " $6) " | " $7 " |" }' "$kept_in"
}

# ---- the parts ----
if [[ ${1:-} == --one ]]; then
  read -ra line <<<"$2"
  one "${line[@]}"
  exit
fi

failed=0
touch "$kept_in"
find_states
for part in "${parts[@]}"; do
  say "targets: $part"
  case $part in
    cross)
      prepare_all
      for march in $(values_of march); do
        for toolchain in "${toolchains[@]}"; do
          for mtune in $(values_of mtune); do echo "cross $cross attend $toolchain $march $mtune"; done
        done
      done | work
      failures cross "$cross" $(($(values_of toolchain | wc -l) * $(values_of march | wc -l) * $(values_of mtune | wc -l))) || failed=1
      ;;
    cover)
      tests/targets/check_cover.sh
      prepare_all
      export MODULES='math nn model agent train' DEMO=020_distil_dark_room
      while read -r toolchain target; do
        [[ " ${toolchains[*]} " != *" $toolchain "* ]] || echo "cover $cover tests $toolchain $target"
      done < <(sed -n 's/^target //p' tests/targets/cover.txt) | work
      failures cover "$cover" "$(grep -c '^target ' tests/targets/cover.txt)" || failed=1
      ;;
    quick)
      need "${build_tools[@]}" "${libraries[@]}" catch2
      export MODULES='nn model' DEMO=''
      mkdir -p out/targets
      export ICRL_KEPT_IN=out/targets/quick.tsv # of this machine alone
      kept_in=$ICRL_KEPT_IN
      touch "$kept_in"
      while read -r target; do echo "quick $cover tests g++ $target"; done <<TARGETS | work
x86-64-v4 skylake-avx512 O2 no-lto strict
x86-64-v3 skylake O3 lto strict
x86-64 icelake-server O2 no-lto no-strict
sandybridge alderlake Os no-lto strict
TARGETS
      failures quick "$cover" 4 || failed=1
      ;;
    table)
      write_table >docs/targets.md
      cat docs/targets.md
      ;;
    *)
      echo "$0: there is no part $part" >&2
      exit 2
      ;;
  esac
done
((failed)) || [[ $left_out == no ]] || exit "$not_done"
exit "$failed"
