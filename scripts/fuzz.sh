#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Builds the fuzzers of tests/fuzz and runs each for so many seconds, as many at a time as there are cores. Inputs that
# reach something new are kept in out/fuzz/TARGET, and the next run goes on from them. Ends on a line per target; fails
# on a crash, whose input is kept in out/fuzz/crashes. The inputs tried since the sources changed are counted in
# docs/results/targets.tsv.
#   scripts/fuzz.sh [SECONDS [TARGET...]]     by default 60 seconds and all targets
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
seconds=${1:-60}
targets=("${@:2}")
need "${build_tools[@]}" "${libraries[@]}" clang

say "building the fuzzers"
configure fuzz
((${#targets[@]})) || for source in build/fuzz/tests/fuzz/CMakeFiles/fuzz_*.dir; do
  target=${source##*/fuzz_}
  targets+=("${target%.dir}")
done
build fuzz "${targets[@]/#/fuzz_}"

say "fuzzing ${targets[*]}, $seconds seconds each"
mkdir -p out/fuzz/crashes out/fuzz/logs
# Files that the targets write lie in memory.
memory=/dev/shm
[[ -w $memory ]] || memory=${TMPDIR:-/tmp}
folder=$(mktemp -d "$memory/icrl_fuzz.XXXXXX")
trap 'rm -rf "$folder"' EXIT

# Without entropic scheduling, whose bookkeeping takes as long as the targets. A crash ends a target early; its exit status is left to what is looked for in the log.
fuzz() {
  mkdir -p "out/fuzz/$1"
  local earlier
  for earlier in "out/fuzz/crashes/$1-"*; do # what has crashed once is tried again
    [[ ! -e $earlier ]] || cp -n "$earlier" "out/fuzz/$1"
  done
  TMPDIR=$folder "build/fuzz/tests/fuzz/fuzz_$1" "out/fuzz/$1" -max_total_time="$seconds" -max_len=4096 -timeout=20 \
    -rss_limit_mb=2048 -artifact_prefix="out/fuzz/crashes/$1-" -entropic=0 -print_funcs=0 -print_final_stats=1 >"out/fuzz/logs/$1" 2>&1 || true
}
for target in "${targets[@]}"; do
  while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n; done
  fuzz "$target" &
done
wait

# count TARGET OUTCOME INPUTS: adds them to what was kept for the same sources.
count() {
  local sources before spent inputs
  sources=$(fuzz_state_of "$1")
  before=$(awk -F '\t' -v name="$1" -v sources="$sources" '$1 == "fuzz" && $2 == name && $3 == sources { print $5 " " $6 }' "$kept_in")
  read -r spent inputs _ <<<"${before:-0 0}"
  keep fuzz "$1" "$sources" "$2" $((spent + seconds)) "$((inputs + $3)) inputs"
}

say "fuzzed"
failed=0
for target in "${targets[@]}"; do
  log=out/fuzz/logs/$target
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(sed -n 's/^#[0-9]*\t.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  crash=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
  outcome='no crash' passed=passed
  if [[ -n $crash || -z $executions ]] || grep -q '^==.*ERROR' "$log"; then
    failed=1 passed=FAILED
    outcome="CRASHED, see $log; again by: build/fuzz/tests/fuzz/fuzz_$target ${crash:-out/fuzz/$target}"
  fi
  printf '%-16s %9s executions, %5s branches covered, %s\n' "$target" "${executions:-?}" "${coverage:-?}" "$outcome"
  count "$target" "$passed" "${executions:-0}"
done
exit "$failed"
