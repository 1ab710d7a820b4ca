#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Builds and runs the benchmarks, in turns with the peers where these are installed (peers/setup.sh), prints a table and
# writes out/bench.jsonl. A whole run (no --quick, no --only) also renews benchmarks/RESULTS.md.
#   benchmarks/run.sh [--quick] [--rounds 5] [--seconds 4] [--only REGEX] [--threads 2]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
command="benchmarks/run.sh $*"
rounds=5 seconds=4 threads=2 only=. whole=yes build=${BUILD:-build/bench} out=${OUT:-out}

while (($#)); do
  case $1 in
    --quick) rounds=1 seconds=1 whole=no ;;
    --rounds) rounds=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --threads) threads=$2; shift ;;
    --only) only=$2 whole=no; shift ;;
    -h | --help) sed -n '4,7s/^# //p' "$0"; exit ;;
    *) echo "run.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift
done

load=$(cut -d' ' -f1 /proc/loadavg)
if awk "BEGIN { exit !($load > 0.5) }"; then
  echo "run.sh: the machine is busy (load $load): spreads will be wide and ratios unsure" >&2
fi

cmake --preset bench -B "$build" >/dev/null
cmake --build "$build" --target icrl_benchmarks -j "$(nproc)"
bin=$build/benchmarks
mkdir -p "$out"
raw=$out/bench_raw.jsonl
: >"$raw"

wanted() { [[ $1 =~ $only ]]; }

# Appends what a program prints; a peer that is not installed says so with status 3 and is left out. With `prefix` set the
# measurement's name starts with it.
prefix=
record() {
  local status=0
  "$@" 2>"$out/bench_errors.txt" >"$out/bench_line.txt" || status=$?
  sed "s/\"name\": *\"/&$prefix/" "$out/bench_line.txt" >>"$raw"
  if ((status != 0 && status != 3)); then
    echo "run.sh: failed with status $status: $*" >&2
    cat "$out/bench_errors.txt" >&2
    exit 1
  fi
}

say() { [[ ! -t 2 ]] || printf '\r\033[K%s' "$*" >&2; }

train() {  # width layers heads context batch
  local name="train_d$1_L$2_H$3_T$4_B$5"
  wanted "$name" || return 0
  for ((round = 1; round <= rounds; ++round)); do
    say "$name, round $round of $rounds"
    record "$bin/train_benchmark" "$@" --threads "$threads" --seconds "$seconds"
    record benchmarks/peers/run_peer.sh torch_train.py "$@" --threads "$threads" --seconds "$seconds"
    record env OMP_NUM_THREADS=1 "$bin/gemm" "$name" "$4" "$((4 * $1))" "$1" --threads "$threads" --seconds 0.3
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
    record benchmarks/peers/run_peer.sh torch_step.py "$@"
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
prefix=extra_ act 8 1 1 2  # next to no arithmetic: what a call costs
around
if [[ $whole == yes || $only != . ]]; then
  train 128 4 4 256 32
  train 256 4 8 256 16
  act 64 4 4 1024
  act 256 4 8 1024
  act_many 64 4 4 200 64
  act_many 64 4 4 1024 64
fi
say ""

[[ -s $raw ]] || { echo "run.sh: no measurement's name matches $only" >&2; exit 2; }
page=()
if [[ $whole == yes ]]; then
  page=(--markdown benchmarks/RESULTS.md
    --about "Machine=$(awk -F': *' '/^model name/ {print $2; exit}' /proc/cpuinfo), $(nproc) cores"
    --about "Compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt" | xargs -I{} sh -c '{} --version | head -n 1')"
    --about "Commit=$(git describe --always --dirty 2>/dev/null || echo unknown)"
    --about "Command=\`$command\`: $rounds rounds of $seconds s, $threads threads for training, one for the rest")
fi
"$bin/report" "$raw" --jsonl "$out/bench.jsonl" "${page[@]}"
