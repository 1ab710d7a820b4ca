#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Measures training and acting per instruction set: programs that are compiled for newer and for older CPUs, in turns on
# this one, and writes docs/results/instruction_sets.md. PyTorch (peers/setup.sh) trains beside them in float32, limited
# to the same instruction set; without it its columns stay empty.
#   benchmarks/instruction_sets.sh [--rounds 3] [--seconds 1]     about 40 minutes with PyTorch
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# shellcheck source=support/rounds.sh
source benchmarks/support/rounds.sh
command="benchmarks/instruction_sets.sh${*:+ $*}"
rounds=3 seconds=1 page=docs/results/instruction_sets.md

while (($#)); do
  case $1 in
    --rounds) whole_number "$@"; rounds=$2; shift ;;
    --seconds) positive_number "$@"; seconds=$2; shift ;;
    -h | --help) sed -n '4,7s/^# //p' "$0"; exit ;;
    *) fail_usage "unknown option $1" ;;
  esac
  shift
done
warn_if_busy

# name | flags of the compiler | products | what /proc/cpuinfo must list | PyTorch's and OpenBLAS's names of the set
sets=(
  "AVX-512 BF16, bfloat16|-march=x86-64-v4 -mavx512bf16|bfloat16|avx512f avx512dq avx512bw avx512vl avx512_bf16|avx512|SkylakeX"
  "AVX-512, float32|-march=x86-64-v4|full|avx512f avx512dq avx512bw avx512vl|avx512|SkylakeX"
  "AVX2 and FMA, float32|-march=x86-64-v3|full|avx2 fma|avx2|Haswell"
  "SSE2 (no -march), float32|-march=x86-64|full|sse2|default|Core2"
)
trainings=("64 4 4 80 128" "64 4 4 200 64" "128 4 4 256 32" "256 4 8 256 16")
actions=("64 4 4 200" "64 4 4 1024" "256 4 8 1024")
capabilities=$(awk -F: '/^flags/ {print $2; exit}' /proc/cpuinfo)

can_run() {
  local capability
  for capability in $1; do [[ " $capabilities " == *" $capability "* ]] || return 1; done
}
folder_of() { tr -cs 'A-Za-z0-9\n' _ <<<"$1"; }

raw=$out/instruction_sets_raw.txt  # lines of: set <tab> who <tab> measurement <tab> value
mkdir -p "$out"
: >"$raw"

# note SET WHO COMMAND...: runs a program and keeps the value that it prints; a peer that is not installed is left out.
note() {
  local set=$1 who=$2 line status=0
  shift 2
  line=$("$@" 2>"$out/bench_errors.txt") || status=$?
  if ((status == 3)); then return 0; fi
  if ((status != 0)); then
    echo "$(basename "$0"): failed with status $status: $*" >&2
    cat "$out/bench_errors.txt" >&2
    exit 1
  fi
  printf '%s\t%s\t%s\t%s\n' "$set" "$who" "$(sed -E 's/.*"name": *"(extra_full_)?([^"]*)".*/\2/' <<<"$line")" \
    "$(sed -E 's/.*"value": *([0-9.e+-]+).*/\1/' <<<"$line")" >>"$raw"
}

runnable=()
for set in "${sets[@]}"; do
  IFS='|' read -r name flags _ needs _ _ <<<"$set"
  if ! can_run "$needs"; then
    echo "left out, this CPU has not got it: $name"
    continue
  fi
  runnable+=("$set")
  say "building for $name"
  cmake --preset bench -B "$build/$(folder_of "$name")" -DCMAKE_CXX_FLAGS_RELEASE="-O3 $flags -DNDEBUG" >/dev/null
  cmake --build "$build/$(folder_of "$name")" --target train_benchmark act_benchmark -j "$(nproc)" >/dev/null
done

for ((round = 1; round <= rounds; ++round)); do
  for set in "${runnable[@]}"; do
    IFS='|' read -r name _ products _ torch_name blas_name <<<"$set"
    bin=$build/$(folder_of "$name")/benchmarks
    for shape in "${trainings[@]}"; do
      say "$name, training $shape, round $round of $rounds"
      read -ra sizes <<<"$shape"
      note "$name" icrl "$bin/train_benchmark" "${sizes[@]}" --threads 2 --seconds "$seconds" --products "$products"
      note "$name" peer env ATEN_CPU_CAPABILITY="$torch_name" OPENBLAS_CORETYPE="$blas_name" \
        benchmarks/peers/run_peer.sh torch_train.py "${sizes[@]}" --threads 2 --seconds "$seconds"
    done
    for shape in "${actions[@]}"; do
      say "$name, acting $shape, round $round of $rounds"
      read -ra sizes <<<"$shape"
      note "$name" icrl "$bin/act_benchmark" "${sizes[@]}"
    done
  done
done
say ""

build=$build/$(folder_of "${runnable[0]%%|*}") # all have the same compiler
about_this_run "\`$command\`: $rounds rounds of $seconds s, 2 threads for training, one for acting"
{
  cat <<'TEXT'
<!-- SPDX-FileCopyrightText: The icrl authors -->
<!-- SPDX-License-Identifier: MIT -->
# Instruction sets

Made by `benchmarks/instruction_sets.sh`; do not edit. One machine, programs compiled for newer and for older CPUs in turns;
medians over the rounds. A CPU that lacks an instruction set may also differ in clock and caches, so compare columns, not
absolute numbers. PyTorch trains in float32, limited to the same instruction set; the ratio is above 1 where icrl is
quicker. Acting is always float32. Which products training takes by itself (`Products::automatic`) depends on the CPU:
bfloat16 where it is quicker, AMD's with AVX512-BF16, else float32.

TEXT
  for ((i = 0; i < ${#about[@]}; i += 2)); do printf -- '- **%s**: %s\n' "${about[i + 1]%%=*}" "${about[i + 1]#*=}"; done
  printf '\n| compiled for | measurement | icrl | PyTorch float32 | ratio |\n|---|---|---|---|---|\n'
  awk -F'\t' '
    function median(list,   n, values, i, j, v) {
      n = split(list, values, " ")
      for (i = 2; i <= n; ++i) {
        v = values[i] + 0
        for (j = i - 1; j >= 1 && values[j] + 0 > v; --j) values[j + 1] = values[j]
        values[j + 1] = v
      }
      return n % 2 ? values[(n + 1) / 2] + 0 : (values[n / 2] + values[n / 2 + 1]) / 2
    }
    {
      key = $1 FS $3
      if (!(key in seen)) { seen[key] = 1; order[++count] = key }
      if ($2 == "icrl") ours[key] = ours[key] " " $4; else peer[key] = peer[key] " " $4
    }
    END {
      for (i = 1; i <= count; ++i) {
        split(order[i], name, FS)
        mine = median(ours[order[i]])
        if (name[2] ~ /^act/) printf "| %s | %s | %.1f us | | |\n", name[1], name[2], mine
        else if (peer[order[i]] == "") printf "| %s | %s | %.1f k tokens/s | | |\n", name[1], name[2], mine / 1000
        else {
          other = median(peer[order[i]])
          printf "| %s | %s | %.1f k tokens/s | %.1f k | %.2f |\n", name[1], name[2], mine / 1000, other / 1000, mine / other
        }
      }
    }' "$raw"
} >"$page"
sed -n '/^| compiled/,$p' "$page"
