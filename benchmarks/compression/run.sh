#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Runs the study of compression on permuted Key-to-Door: trains a teacher per seed and the models of models.txt, measures
# how each improves in context, and draws them in the folder. About 70 minutes per seed on two cores; a run that was stopped goes on where
# it was.
#   benchmarks/compression/run.sh [--seeds "21 22 23"] [--out out/compression] [OPTIONS OF key_to_door_models]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
seeds="21 22 23" out=out/compression
while [[ ${1-} == --seeds || ${1-} == --out ]]; do
  [[ -n ${2-} ]] || { echo "$0: $1 wants a value" >&2; exit 2; }
  if [[ $1 == --seeds ]]; then seeds=$2; else out=$2; fi
  shift 2
done

cmake --preset bench >/dev/null
cmake --build --preset bench --target key_to_door_models key_to_door_pareto

models=()
while IFS= read -r line; do
  [[ -z $line || $line == \#* ]] || models+=(--model "$line")
done <benchmarks/compression/models.txt
for seed in $seeds; do
  build/bench/benchmarks/key_to_door_models --seed "$seed" --out "$out" "${models[@]}" "$@"
done
build/bench/benchmarks/key_to_door_pareto --results "$out/results.jsonl" --out "$out"
