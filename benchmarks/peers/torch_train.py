#!/usr/bin/env python3
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
"""Tokens a second of whole training steps in PyTorch: forward, loss at every position, backward, clip, AdamW.

    torch_train.py WIDTH LAYERS HEADS CONTEXT BATCH [--threads 2] [--seconds 5] [--bfloat16]

With --bfloat16 the forward pass and the loss run under torch.autocast.
"""

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

from small_gpt import ACTIONS, OBSERVATIONS, SmallGPT


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("width", "layers", "heads", "context", "batch"):
        parser.add_argument(name, type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--bfloat16", action="store_true")
    return parser.parse_args()


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = SmallGPT(args.width, args.layers, args.heads, args.context)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4)
    shape = (args.batch, args.context)

    def train_step():
        observation, action = torch.randint(OBSERVATIONS, shape), torch.randint(ACTIONS + 1, shape)
        reward, label = torch.rand(*shape, 1), torch.randint(ACTIONS, shape)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bfloat16):
            loss = F.cross_entropy(model(observation, action, reward).flatten(0, 1), label.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    for _ in range(2):
        train_step()
    times, end = [], time.perf_counter() + args.seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        train_step()
        times.append(time.perf_counter() - start)
    print(json.dumps({
        "name": f"train_d{args.width}_L{args.layers}_H{args.heads}_T{args.context}_B{args.batch}",
        "who": f"PyTorch {torch.__version__.split('+')[0]}" + (" bfloat16" if args.bfloat16 else ""),
        "value": round(args.batch * args.context / statistics.median(times)),
        "unit": "tokens/s",
        "threads": torch.get_num_threads(),
    }))


if __name__ == "__main__":
    main()
