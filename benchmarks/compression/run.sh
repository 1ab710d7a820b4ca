#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Runs the study of compression on permuted Key-to-Door: trains a teacher per seed and the models of models.txt, measures
# how each improves in context, and draws them in the folder. About 70 minutes per seed on two cores; a run that was stopped goes on where
# it was.
#   benchmarks/compression/run.sh [--seeds "21 22 23"] [--out out/compression] [--only REGEX] [OPTIONS OF key_to_door_models]
# --only: the models whose names match, which must include those that they are made from.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
seeds="21 22 23" out=out/compression only=.
while [[ ${1-} == --seeds || ${1-} == --out || ${1-} == --only ]]; do
  [[ -n ${2-} ]] || { echo "$0: $1 wants a value" >&2; exit 2; }
  case $1 in
    --seeds) seeds=$2 ;;
    --out) out=$2 ;;
    --only) only=$2 ;;
  esac
  shift 2
done

cmake --preset bench >/dev/null
cmake --build --preset bench --target key_to_door_models key_to_door_pareto

models=()
while IFS= read -r line; do
  [[ -z $line || $line == \#* || ! ${line%% *} =~ $only ]] || models+=(--model "$line")
done <benchmarks/compression/models.txt
((${#models[@]})) || { echo "$0: no model's name matches $only" >&2; exit 2; }
for seed in $seeds; do
  build/bench/benchmarks/key_to_door_models --seed "$seed" --out "$out" "${models[@]}" "$@"
done
build/bench/benchmarks/key_to_door_pareto --results "$out/results.jsonl" --out "$out"
