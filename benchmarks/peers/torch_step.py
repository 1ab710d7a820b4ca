#!/usr/bin/env python3
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
"""Microseconds of one cached step at full context in PyTorch (traced and frozen, one thread), and the step as an ONNX file.

    torch_step.py WIDTH LAYERS HEADS CONTEXT [--batch 1] [--runs 500] [--export-only] [--int8]

When the batch is one, writes $ONNX_DIR/step_WIDTH_LAYERS_HEADS_CONTEXT.onnx, and step_..._by_layer.onnx, whose cache is
handed in layer by layer and not copied. With --int8 also step_..._int8.onnx and step_..._by_layer_int8.onnx, their
weights in 8 bits by ONNX Runtime's dynamic quantization, per channel; activations are rounded as they come, the cache is in
float32.
"""

import argparse
import json
import os
import sys
import time

import torch

from small_gpt import SmallGPT, Step, StepByLayer


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("width", "layers", "heads", "context"):
        parser.add_argument(name, type=int)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--export-only", action="store_true")
    parser.add_argument("--int8", action="store_true")
    return parser.parse_args()


def microseconds(function, inputs, runs):
    """Sorted times of `runs` calls after a tenth as many to warm up."""
    times = []
    for _ in range(runs + runs // 10):
        start = time.perf_counter()
        function(*inputs)
        times.append(1e6 * (time.perf_counter() - start))
    return sorted(times[-runs:])


def export(step, inputs, cache_names, args, suffix=""):
    folder = os.environ.get("ONNX_DIR", ".")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"step_{args.width}_{args.layers}_{args.heads}_{args.context}{suffix}.onnx")
    torch.onnx.export(step, inputs, path, input_names=["observation", "action", "reward", "position", *cache_names],
                      opset_version=17, dynamo=False)
    if args.int8:
        try:  # only here: few have it; Debian's onnx cannot be imported whole after Debian's onnxruntime
            import onnx.reference  # noqa: F401
            from onnxruntime.quantization import QuantType, quantize_dynamic
        except ImportError as error:
            print(f"torch_step.py: no int8 model: {error}", file=sys.stderr)
            return
        quantize_dynamic(path, path.replace(".onnx", "_int8.onnx"), per_channel=True, weight_type=QuantType.QInt8)


def main():
    args = arguments()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = SmallGPT(args.width, args.layers, args.heads, args.context).eval()
    step = Step(model).eval()
    ids = torch.zeros(args.batch, dtype=torch.long)
    cache = torch.randn(args.layers, args.batch, args.heads, args.context - 1, args.width // args.heads)
    inputs = (ids, ids, torch.zeros(args.batch, 1), torch.full_like(ids, args.context - 1), cache, cache.clone())
    if args.batch == 1:
        export(step, inputs, ["keys", "values"], args)
        caches = [part for keys, values in zip(cache, cache) for part in (keys.transpose(2, 3).contiguous(), values)]
        names = [f"{kind}{layer}" for layer in range(args.layers) for kind in ("keys", "values")]
        export(StepByLayer(model).eval(), (*inputs[:4], *caches), names, args, "_by_layer")
    if args.export_only:
        return
    with torch.inference_mode():
        times = microseconds(torch.jit.freeze(torch.jit.trace(step, inputs)), inputs, args.runs)
    group = "" if args.batch == 1 else f"_B{args.batch}"
    print(json.dumps({
        "name": f"act_d{args.width}_L{args.layers}_H{args.heads}_T{args.context}{group}",
        "who": f"PyTorch {torch.__version__.split('+')[0]} jit.freeze",
        "value": round(times[len(times) // 2], 2),
        "unit": "us",
        "p99": round(times[len(times) * 99 // 100], 2),
    }))


if __name__ == "__main__":
    main()
