#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing, makes the library that Python calls, and runs examples/python/adapt.py: a task in Python is
# learned in context. With several seeds it fails unless each ends above 90 % of what is possible.
#   scripts/python.sh [SEED...]     by default 1
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
seeds=("${@:-1}")
need g++ "${libraries[@]}" python3

say "the library"
mkdir -p build/python
g++ -std=c++20 -O3 -march=native -DNDEBUG -pthread -shared -fPIC -Iinclude -isystem /usr/include/eigen3 \
  examples/python/bridge.cpp -o build/python/libbridge.so -lfmt

export PYTHONDONTWRITEBYTECODE=1
for seed in "${seeds[@]}"; do
  say "dials, seed $seed"
  python3 examples/python/adapt.py build/python/libbridge.so --seed "$seed" --out "out/python/$seed"
done
((${#seeds[@]} > 1)) || exit 0
python3 - "${seeds[@]}" <<'CHECK'
import json
import sys

ends = []
for seed in sys.argv[1:]:
    share = json.load(open(f"out/python/{seed}/summary.json"))["share_by_episode"]
    ends.append(sum(share[-5:]) / 5)
    print(f"seed {seed}: {share[0]:.2f} of what is possible in episode 1, {ends[-1]:.2f} in episodes 6 to 10")
sys.exit(min(ends) < 0.9)
CHECK
