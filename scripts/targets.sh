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
# What has passed for the same sources is not done again; results and logs are kept in out/targets. Compilers that this
# release does not have come from a root of another one in out/roots (or $ICRL_ROOTS); only root can make one. Exits with
# 77 where nothing failed but a compiler was left out.
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
# Results belong to what the named files hold, so that a text in docs/ does not undo hours of work.
state_of() { find "$@" -type f -print0 | sort -z | xargs -0 sha1sum | sha1sum | cut -c1-10; }

# What tests/kernels/attend.cpp includes of this repository.
attend_sources() {
  "${CXX:-g++}" -std=c++20 -Iinclude -Itests -isystem /usr/include/eigen3 -MM tests/kernels/attend.cpp |
    grep -oE '(include|tests)/[^ ]+'
}
how=(tests/targets cmake/dev.cmake scripts/build_target.sh)
find_states() {
  need g++ "${libraries[@]}"
  local sources
  sources=$(attend_sources)
  # shellcheck disable=SC2086  # one word per file
  cross=out/targets/$(state_of $sources "${how[@]}")/cross
  cover=out/targets/$(state_of include tests/{kernels,support,math,nn,model,agent,train} examples "${how[@]}")/cover
}

# Reads lines "toolchain, arguments of build_target.sh" and works on as many at a time as there are processors. Each line
# leaves its result in a file, what did not finish as well.
work() {
  local lines line words out
  mapfile -t lines
  ((${#lines[@]})) || return 0
  printf '%s\n' "${lines[@]}" | xargs -r -d '\n' -P "$(job_count)" -n 1 "$0" --one || true
  for line in "${lines[@]}"; do
    read -ra words <<<"$line"
    out=${words[2]}
    [[ ! -e $out.tsv ]] || continue
    mkdir -p "$(dirname "$out")"
    printf 'FAILED\t%s\t0\tdid not finish\n' "${words[*]:3}" | tee "$out.tsv"
  done
}

# Does one line, unless it has passed before; prints what came of it. Never fails: the table tells.
one() {
  local toolchain=$1 out=$3 suite
  shift
  if [[ -e $out.tsv ]] && ! grep -q ^FAILED "$out.tsv"; then return; fi
  rm -f "$out.tsv"
  suite=$(suite_of "$toolchain")
  if [[ $suite == "$own_suite" ]]; then
    scripts/build_target.sh "$@" || true
  else
    in_root "$roots/$suite" scripts/build_target.sh "$@" || true
  fi
}

# Prepares those of the toolchains that can be had, and leaves their names in `toolchains`.
left_out=no
prepare_all() {
  toolchains=()
  for toolchain in $(values_of toolchain); do
    if prepare "$toolchain"; then
      toolchains+=("$toolchain")
    else
      left_out=yes
      echo "left out: $toolchain, which is in a release of its own, and only root can make a root"
    fi
  done
}

# Prints what failed below a folder of results; fails where something did.
failures() {
  local failed
  failed=$(find "$1" -name '*.tsv' -exec grep -h ^FAILED {} +) || return 0
  echo "$failed"
  return 1
}

# ---- the table ----
count() { # OUTCOME FOLDER WORD...: lines of the outcome whose target has these words
  local folder=$2 outcome=$1 pattern='' word
  shift 2
  for word in "$@"; do pattern+=".*[[:space:]]${word//+/\\+}([[:space:]]|$)"; done
  find "$folder" -name '*.tsv' -exec cat {} + 2>/dev/null | grep -Ec "^$outcome$pattern" || true
}

version_of() { # TOOLCHAIN
  local compiler suite
  compiler=${1%-libc++}
  compiler=${compiler/#clang-/clang++-}
  suite=$(suite_of "$1")
  if [[ $suite == "$own_suite" ]]; then
    "$compiler" --version 2>/dev/null | head -n 1
  elif [[ -d $roots/$suite ]]; then
    in_root "$roots/$suite" "/usr/bin/$compiler" --version 2>/dev/null | head -n 1
  fi
}

write_table() {
  local toolchain march outcome target seconds failed cell
  cat <<TEXT
<!-- SPDX-FileCopyrightText: The icrl authors -->
<!-- SPDX-License-Identifier: MIT -->
# Targets

What was compiled and run where. Written by \`scripts/targets.sh table\` from the results of \`scripts/check.sh targets aarch64 tsan
tuned bare\`; not by hand. Warnings are errors everywhere. *Passed*: compiled without a warning, run, right. *Built*: compiled
without a warning; this processor lacks the instructions to run it.

Processor: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1) ($(processor)), $(nproc) cores.

| toolchain | release | compiler |
|---|---|---|
TEXT
  for toolchain in $(values_of toolchain); do
    echo "| $toolchain | Debian $(suite_of "$toolchain") | $(version_of "$toolchain") |"
  done
  cat <<TEXT

## Every combination

\`tests/kernels/attend.cpp\`, which compares \`attend\` with a plain loop in double precision, at the pages' edges; sources
$(basename "$(dirname "$cross")"). Each cell: passed of all combinations of $(values_of mtune | wc -l) \`-mtune\`
($(values_of mtune | paste -sd, | sed 's/,/, /g')), $(values_of level | wc -l) levels ($(values_of level | paste -sd, | sed 's/,/, /g')), with and without \`-flto\` and \`-fno-strict-aliasing\`.

| \`-march\` | $(values_of toolchain | paste -sd'|' | sed 's/|/ | /g') |
|---|$(values_of toolchain | sed 's/.*/---|/' | paste -sd'\0')
TEXT
  for march in $(values_of march); do
    printf '| %s |' "$march"
    for toolchain in $(values_of toolchain); do
      cell="$(count passed "$cross/$toolchain" "$march") of $(($(values_of mtune | wc -l) * $(values_of level | wc -l) * 4))"
      outcome=$(count built "$cross/$toolchain" "$march")
      ((outcome == 0)) || cell+=", built $outcome"
      outcome=$(count FAILED "$cross/$toolchain" "$march")
      ((outcome == 0)) || cell+=", **failed $outcome**"
      printf ' %s |' "$cell"
    done
    echo
  done
  cat <<TEXT

$(count passed "$cross") passed, $(count built "$cross") built, $(count FAILED "$cross") failed.

## Each two values together

All kernels, the tests of math, nn, model, agent and train without those tagged slow, and \`020_distil_dark_room --quick\`, on
targets in which each two values of different dimensions meet (of \`-march\` and \`-mtune\` 35 of their 49 pairs); sources
$(basename "$(dirname "$cover")").

| compiler | \`-march\` | \`-mtune\` | level | \`-flto\` | aliasing | outcome | seconds |
|---|---|---|---|---|---|---|---|
TEXT
  while read -r toolchain target; do
    outcome='not run' seconds='' failed=''
    IFS=$'\t' read -r outcome _ seconds failed < <(cat "$cover/$toolchain.${target// /.}.tsv" 2>/dev/null) || true
    echo "| $toolchain | ${target// / | } | ${outcome:-not run}${failed:+: $failed} | $seconds |"
  done < <(sed -n 's/^target //p' tests/targets/cover.txt)
  cat <<TEXT

## Beside them

| check | sources as of | outcome |
|---|---|---|
TEXT
  if [[ -e out/targets/checks.tsv ]]; then awk -F '\t' '{ last[$1] = $0 } END { for (c in last) print last[c] }' out/targets/checks.tsv |
    sort | awk -F '\t' '{ print "| " $1 " | " $2 " | " $3 " |" }'; fi
}

# The features that decide between our kernels, as this processor has them.
processor() {
  local feature have=()
  for feature in avx avx2 fma avx512f avx512dq avx512vl avx512_vnni avx512_bf16; do
    ! grep -qm1 "^flags.*\b$feature\b" /proc/cpuinfo || have+=("$feature")
  done
  echo "${have[*]}"
}

# ---- the parts ----
if [[ ${1:-} == --one ]]; then
  read -ra line <<<"$2"
  one "${line[@]}"
  exit
fi

failed=0
find_states
for part in "${parts[@]}"; do
  say "targets: $part"
  case $part in
    cross)
      prepare_all
      for toolchain in "${toolchains[@]}"; do
        for march in $(values_of march); do
          for mtune in $(values_of mtune); do
            echo "$toolchain attend $cross/$toolchain/$march.$mtune $toolchain $march $mtune"
          done
        done
      done | work | { grep -v ^passed || true; }
      failures "$cross" || failed=1
      echo "$(count passed "$cross") passed, $(count built "$cross") built, $(count FAILED "$cross") failed"
      ;;
    cover)
      tests/targets/check_cover.sh
      prepare_all
      export MODULES='math nn model agent train' DEMO=020_distil_dark_room
      while read -r toolchain target; do
        [[ " ${toolchains[*]} " != *" $toolchain "* ]] ||
          echo "$toolchain tests $cover/$toolchain.${target// /.} $toolchain $target"
      done < <(sed -n 's/^target //p' tests/targets/cover.txt) | work
      failures "$cover" || failed=1
      ;;
    quick)
      need "${build_tools[@]}" "${libraries[@]}" catch2
      export MODULES='nn model' DEMO=''
      folder=$(dirname "$cover")/quick
      while read -r target; do
        echo "g++ tests $folder/${target// /.} g++ $target"
      done <<TARGETS | work
x86-64-v4 skylake-avx512 O2 no-lto strict
x86-64-v3 skylake O3 lto strict
x86-64 icelake-server O2 no-lto no-strict
sandybridge alderlake Os no-lto strict
TARGETS
      failures "$folder" || failed=1
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
