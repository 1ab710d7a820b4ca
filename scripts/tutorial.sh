#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing, builds the program of docs/tutorial.md and runs it, about two minutes per seed; fails where one of
# its agents does not earn nine tenths of what is possible in mornings 21-30. What it prints and writes goes to out/tutorial/SEED,
# the pictures of seed 21 to docs/results.
#   scripts/tutorial.sh [SEED...]     by default 21, 22 and 23, which the page shows
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
seeds=("$@")
((${#seeds[@]})) || seeds=(21 22 23)
need g++ "${libraries[@]}"

say "building the tutorial"
mkdir -p out/tutorial
tests/docs/page_program.sh docs/tutorial.md cpp >out/tutorial/tutorial.cpp
g++ -std=c++20 -O3 -march=native -DNDEBUG -Iinclude -I/usr/include/eigen3 out/tutorial/tutorial.cpp -o out/tutorial/tutorial \
  -lfmt -pthread

failed=0
for seed in "${seeds[@]}"; do
  say "the tutorial, seed $seed"
  mkdir -p "out/tutorial/$seed"
  (cd "out/tutorial/$seed" && ../tutorial "$seed" | tee printed)
  awk '/^possible/ { possible = $6 }
    /^agent, source/ { rows++; if ($7 < 0.9 * possible) { print "too little: " $0; failed = 1 } }
    END { exit failed || rows != 2 }' "out/tutorial/$seed/printed" || failed=1
  [[ $seed != 21 ]] || cp "out/tutorial/$seed"/tutorial_*.svg docs/results/
done
exit "$failed"
