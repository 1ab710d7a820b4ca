#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Runs the study and turns its results into claims: docs/results/study.json, study.md and a picture per study.
#   scripts/study.sh [--quick] [NAME...]     NAME: ablations, watermaze, or a study of benchmarks/study/grid_worlds.cpp; by
#                                            default all
# Seeds are 21 to 25, of dark_room_hard 31 to 35, of watermaze 21 to 23, or $ICRL_STUDY_SEEDS, of ablations 41 to 43:
# nothing was chosen on them.
# What is in out/study is not made again, and an interrupted training resumes. --quick shows that everything runs; it learns nothing and writes no claims.
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" libcli11-dev

quick=()
names=()
for word in "$@"; do
  if [[ $word == --quick ]]; then quick=(--quick); else names+=("$word"); fi
done
((${#names[@]})) || mapfile -t names < <(sed -n 's/^ *return {{"\([a-z0-9_]*\)", .*/\1/p; s/^ *{"\([a-z0-9_]*\)", .*/\1/p' \
  benchmarks/study/grid_worlds.cpp; echo watermaze; echo ablations)

run_study() { # NAME ARGUMENT...
  local name=$1
  shift
  if [[ $name == ablations ]]; then
    build/bench/benchmarks/ablations "$@"
  elif [[ $name == watermaze ]]; then
    build/bench/benchmarks/watermaze "$@"
    build/bench/benchmarks/watermaze --forget "$@"
  else
    build/bench/benchmarks/grid_worlds --study "$name" "$@"
  fi
}

say "building the study"
configure bench
build bench grid_worlds watermaze ablations study_report

if ((${#quick[@]})); then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
  for name in "${names[@]}"; do run_study "$name" --quick --out "$out"; done
  exit
fi
for name in "${names[@]}"; do
  say "study: $name"
  if [[ $name == ablations ]]; then
    run_study ablations --out out/ablations
    cp out/ablations/ablations.{md,json,svg} docs/results/
    continue
  fi
  seeds=(21 22 23 24 25)
  [[ $name != dark_room_hard ]] || seeds=(31 32 33 34 35)
  [[ $name != watermaze ]] || seeds=(21 22 23)
  [[ -z ${ICRL_STUDY_SEEDS:-} ]] || read -ra seeds <<<"$ICRL_STUDY_SEEDS"
  for seed in "${seeds[@]}"; do run_study "$name" --seed "$seed" --out out/study; done
done
[[ ${names[*]} == ablations ]] || build/bench/benchmarks/study_report --in out/study --out docs/results
