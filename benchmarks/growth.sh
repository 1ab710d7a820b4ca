#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Measures how the time and the memory of training and acting grow with context, width, batch, agents and threads. Puts
# the points into out/bench.jsonl (extra_growth_...), the curves with their fitted lines into docs/results/growth.md.
#   benchmarks/growth.sh [--rounds 3] [--seconds 0.5]     seconds for each point and round; about five minutes in all
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# shellcheck source=support/rounds.sh
source benchmarks/support/rounds.sh
command="benchmarks/growth.sh${*:+ $*}"
rounds=3 seconds=0.5

while (($#)); do
  case $1 in
    --rounds) whole_number "$@"; rounds=$2; shift ;;
    --seconds) positive_number "$@"; seconds=$2; shift ;;
    -h | --help) sed -n '4,6s/^# //p' "$0"; exit ;;
    *) fail_usage "unknown option $1" ;;
  esac
  shift
done

warn_if_busy
build_benchmarks
raw=$out/growth_raw.jsonl
: >"$raw"

# A curve is its own prefix, a point may belong to several. Points lie equally far apart, as icrl's plots want them.
curve() {
  prefix=extra_growth_$1_
  say "growth with $1: ${*:2}"
  record "${@:2}"
}
train=$bin/train_benchmark act=$bin/act_benchmark threads=$bin/threads_benchmark memory=$bin/memory_benchmark

for ((round = 1; round <= rounds; ++round)); do
  for T in 64 128 192 256 320 384 448 512; do
    curve context "$train" 64 4 4 "$T" 16 --threads 1 --seconds "$seconds" --attention
    curve context "$act" 64 4 4 "$((2 * T))" --cycles 8
  done
  for B in 16 32 48 64 80 96 112 128; do
    curve batch "$train" 64 4 4 80 "$B" --threads 1 --seconds "$seconds"
  done
  for d in 32 64 96 128 160 192 224 256; do
    curve width "$train" "$d" 4 4 80 16 --threads 1 --seconds "$seconds"
    curve width "$act" "$d" 4 4 200 --cycles 8
  done
  for N in 8 16 24 32 40 48 56 64; do
    curve agents "$act" 64 4 4 200 --agents "$N" --cycles 2
  done
  for ((count = 1; count <= $(nproc) && count <= 4; ++count)); do  # a gradient's four slots are work for four
    curve threads "$threads" train 64 4 4 80 64 --threads "$count" --seconds "$seconds"
    curve threads "$threads" act 64 4 4 200 64 --threads "$count" --seconds "$seconds"
  done
done
for T in 64 128 192 256 320 384 448 512; do
  curve context "$memory" agent 64 4 4 "$T" 8
  curve context "$memory" train 64 4 4 "$T" 16 --threads 1
done
for count in 1 2 3 4; do
  curve threads "$memory" train 64 4 4 80 16 --threads "$count"
done
say ""

about_this_run "\`$command\`: $rounds rounds of $seconds s for each point"
"$bin/report" "$raw" --jsonl "$out/bench.jsonl" --update >"$out/growth.txt"
"$bin/growth" "$out/bench.jsonl" --folder docs/results "${about[@]}"
