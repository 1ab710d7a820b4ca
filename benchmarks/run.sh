#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Builds and runs the benchmarks, in turns with the peers where these are installed (peers/setup.sh), prints a table and
# writes out/bench.jsonl. A whole run (no --quick, no --only) also renews benchmarks/RESULTS.md and the growth curves.
#   benchmarks/run.sh [--quick] [--rounds 5] [--seconds 4] [--only REGEX] [--threads 2] [--large-file]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# shellcheck source=support/rounds.sh
source benchmarks/support/rounds.sh
command="benchmarks/run.sh${*:+ $*}"
rounds=5 seconds=4 threads=2 only=. whole=yes large_file=no

while (($#)); do
  case $1 in
    --quick) rounds=1 seconds=1 whole=no ;;
    --rounds) whole_number "$@"; rounds=$2; shift ;;
    --seconds) positive_number "$@"; seconds=$2; shift ;;
    --threads) whole_number "$@"; threads=$2; shift ;;
    --only) [[ -n ${2-} ]] || fail_usage "--only wants a regular expression"; only=$2 whole=no; shift ;;
    --large-file) large_file=yes ;;
    -h | --help) sed -n '4,6s/^# //p' "$0"; exit ;;
    *) fail_usage "unknown option $1" ;;
  esac
  shift
done

warn_if_busy
build_benchmarks
: >"$raw"

wanted() { [[ $1 =~ $only ]]; }

train() {  # width layers heads context batch
  local name="train_d$1_L$2_H$3_T$4_B$5"
  wanted "$name" || return 0
  for ((round = 1; round <= rounds; ++round)); do
    say "$name, round $round of $rounds"
    record "$bin/train_benchmark" "$@" --threads "$threads" --seconds "$seconds"
    record "$bin/train_benchmark" "$@" --threads "$threads" --seconds "$seconds" --products full
    record benchmarks/peers/run_peer.sh torch_train.py "$@" --threads "$threads" --seconds "$seconds"
    copy_as extra_full_
    record benchmarks/peers/run_peer.sh torch_train.py "$@" --threads "$threads" --seconds "$seconds" --bfloat16
    record env OMP_NUM_THREADS=1 "$bin/gemm" "$name" "$4" "$((4 * $1))" "$1" --threads "$threads" --seconds 0.3
    copy_as extra_full_
  done
}

act() {  # width layers heads context
  local name="act_d$1_L$2_H$3_T$4"
  wanted "$name" || return 0
  record benchmarks/peers/run_peer.sh torch_step.py "$@" --export-only
  for ((round = 1; round <= rounds; ++round)); do
    say "$name, round $round of $rounds"
    record "$bin/act_benchmark" "$@"
    record benchmarks/peers/run_peer.sh ort_step.cjs "$@"
    record benchmarks/peers/run_peer.sh ort_step.cjs "$@" --by-layer
    record benchmarks/peers/run_peer.sh torch_step.py "$@"
  done
}

# One agent of an integer model, beside both models of ONNX Runtime: those in float32 and those whose weights have 8 bits.
act_int8() {  # width layers heads context
  local name="int8_act_d$1_L$2_H$3_T$4" kind
  wanted "$name" || return 0
  record benchmarks/peers/run_peer.sh torch_step.py "$@" --export-only --int8
  for ((round = 1; round <= rounds; ++round)); do
    say "$name, round $round of $rounds"
    record "$bin/act_benchmark" "$@" --int8
    for kind in "" --by-layer --int8 "--by-layer --int8"; do
      # shellcheck disable=SC2086  # words
      prefix=int8_ record benchmarks/peers/run_peer.sh ort_step.cjs "$@" $kind
    done
  done
}

act_many() {  # width layers heads context agents
  local name="act_d$1_L$2_H$3_T$4_B$5"
  wanted "$name" || return 0
  for ((round = 1; round <= rounds; ++round)); do
    say "$name, round $round of $rounds"
    record "$bin/act_benchmark" "${@:1:4}" --agents "$5" --cycles 3
    record "$bin/act_benchmark" "${@:1:4}" --agents "$5" --cycles 3 --apart
    record benchmarks/peers/run_peer.sh torch_step.py "${@:1:4}" --batch "$5" --runs 50
  done
}

threads() {  # what width layers heads context count
  local name="extra_threads${threads}_$1_d$2_L$3_H$4_T$5_B$6"
  [[ $1 != shared ]] || name="extra_shared_train_d$2_L$3_H$4_T$5_B$6"
  wanted "$name" || return 0
  for ((round = 1; round <= rounds; ++round)); do
    say "$name, round $round of $rounds"
    record "$bin/threads_benchmark" "$@" --threads "$threads" --seconds "$seconds"
  done
}

large_file() {  # width layers heads context batch
  local name="extra_large_file_train_d$1_L$2_H$3_T$4_B$5"
  wanted "$name" || return 0
  say "$name"
  record "$bin/large_file_benchmark" "$@" --threads "$threads" --folder "$out"
}

compile() {
  wanted extra_compile_020_distil_dark_room || return 0
  say "extra_compile_020_distil_dark_room, $rounds rounds"
  record benchmarks/compile_time.sh --rounds "$rounds"
}

around() {
  wanted env_ || return 0
  for ((round = 1; round <= rounds; ++round)); do
    say "environments and histories, round $round of $rounds"
    record "$bin/env_benchmark" --seconds 0.5 --folder "$out"
  done
}

train 64 4 4 80 128
train 64 4 4 200 64
act 64 4 4 200
act_int8 64 4 4 200
prefix=extra_ act 8 1 1 2  # next to no arithmetic: what a call costs
around
if [[ $whole == yes || $only != . ]]; then
  train 128 4 4 256 32
  train 256 4 8 256 16
  act 64 4 4 1024
  act 256 4 8 1024
  act_many 64 4 4 200 64
  act_many 64 4 4 1024 64
  threads train 64 4 4 80 128
  threads shared 64 4 4 80 128
  threads act 64 4 4 200 64
  compile
fi
if [[ $large_file == yes ]]; then large_file 64 4 4 80 128; fi
say ""

[[ -s $raw ]] || { echo "run.sh: no measurement's name matches $only" >&2; exit 2; }
page=()
if [[ $whole == yes ]]; then
  about_this_run "\`$command\`: $rounds rounds of $seconds s, $threads threads for training, one for the rest"
  page=(--markdown benchmarks/RESULTS.md "${about[@]}")
fi
"$bin/report" "$raw" --jsonl "$out/bench.jsonl" "${page[@]}"
if [[ $whole == yes ]]; then benchmarks/growth.sh; fi
