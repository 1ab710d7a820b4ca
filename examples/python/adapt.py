# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
"""Distills a source on dials into a model that learns new dials in context. Task and source are Python.

scripts/python.sh builds the library and runs this. By hand:
  g++ -std=c++20 -O3 -march=native -DNDEBUG -pthread -shared -fPIC -Iinclude -isystem /usr/include/eigen3 \
    examples/python/bridge.cpp -o libbridge.so -lfmt && python3 examples/python/adapt.py libbridge.so
"""
import argparse
import json
import pathlib
import random
import time

import bridge
from dial import Dial, Explorer

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("library", help="the shared library made from bridge.cpp")
parser.add_argument("--out", default="out/python", type=pathlib.Path)
parser.add_argument("--seed", default=1, type=int)
parser.add_argument("--quick", action="store_true", help="too short to learn anything: whether all of it works")
options = parser.parse_args()
histories, episodes, updates, runs = (1, 8, 5, 1) if options.quick else (40, 8, 800, 16)

bridge.load(options.library)
options.out.mkdir(parents=True, exist_ok=True)
file, model = options.out / "histories.icrl", options.out / "model.safetensors"
file.unlink(missing_ok=True)

clicks = list(range(Dial.positions))
random.Random(options.seed).shuffle(clicks)
train, held_out = clicks[:38], clicks[38:]

# 1. Record how the source learns each training dial.
start = time.perf_counter()
for click in train:
    for i in range(histories):
        seed = (options.seed * Dial.positions + click) * histories + i
        dial = Dial(click)
        bridge.record(file, dial, click, Explorer(seed), episodes, seed=seed * episodes)
steps = len(train) * histories * episodes * Dial.horizon
record_rate = steps / (time.perf_counter() - start)
print(f"recorded {len(train) * histories} histories, {record_rate:,.0f} steps/s")

# 2. Distill.
start = time.perf_counter()
loss = bridge.distil(file, model, context=96, updates=updates, seed=options.seed)
print(f"distilled in {time.perf_counter() - start:.1f} s, loss {loss:.3f}")

# 3. The frozen model meets dials that it has never seen.
start, last = time.perf_counter(), 10
curve = [0.0] * last
for click in held_out:
    for i in range(runs):
        dial = Dial(click)
        seed = 1000 * options.seed + i
        returns = bridge.run(bridge.Agent(model, dial, temperature=0.3, seed=seed), dial, last, seed=seed * last)
        curve = [a + b for a, b in zip(curve, returns)]
best = runs * sum(Dial(click).best_return() for click in held_out)
curve = [total / best for total in curve]
act_rate = len(held_out) * runs * last * Dial.horizon / (time.perf_counter() - start)
print(f"acted at {act_rate:,.0f} steps/s. Share of what is possible on dials never trained on, episode by episode:")
print(" ".join(f"{share:.2f}" for share in curve))
(options.out / "summary.json").write_text(json.dumps({
    "seed": options.seed, "held_out_clicks": held_out, "share_by_episode": curve,
    "record_steps_per_second": record_rate, "act_steps_per_second": act_rate}) + "\n")
