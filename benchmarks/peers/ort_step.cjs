// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Microseconds of one cached step at full context in ONNX Runtime, one thread, the call from Node included:
//   node ort_step.cjs WIDTH LAYERS HEADS CONTEXT [--by-layer] [--int8]
// reads $ONNX_DIR/step_WIDTH_LAYERS_HEADS_CONTEXT.onnx. With --by-layer it is step_..._by_layer.onnx, which takes the cache
// layer by layer and copies none of it; with --int8 the model of either kind whose weights have 8 bits.
// The keys and values are handed in whole and only their new rows come back: a real loop would have to append those too.
const path = require('path');
const ort = require('onnxruntime-node');
const { version } = require('onnxruntime-node/package.json');

const byLayer = process.argv.includes('--by-layer'), int8 = process.argv.includes('--int8');
const [width, layers, heads, context] = process.argv.slice(2, 6).map(Number);
const runs = 1000;
const suffix = (byLayer ? '_by_layer' : '') + (int8 ? '_int8' : '');
const file = path.join(process.env.ONNX_DIR || '.', `step_${width}_${layers}_${heads}_${context}${suffix}.onnx`);

const id = value => new ort.Tensor('int64', BigInt64Array.of(BigInt(value)), [1]);
const cache = shape => {
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => Math.random() - 0.5);
  return new ort.Tensor('float32', values, shape);
};

async function main() {
  const session = await ort.InferenceSession.create(
    file, { intraOpNumThreads: 1, interOpNumThreads: 1, graphOptimizationLevel: 'all' });
  const inputs = {
    observation: id(0), action: id(0), reward: new ort.Tensor('float32', Float32Array.of(0), [1, 1]),
    position: id(context - 1),
  };
  const size = width / heads, past = context - 1;
  if (byLayer) {
    for (let layer = 0; layer < layers; layer++) {
      inputs[`keys${layer}`] = cache([1, heads, size, past]);
      inputs[`values${layer}`] = cache([1, heads, past, size]);
    }
  } else {
    inputs.keys = cache([layers, 1, heads, past, size]);
    inputs.values = cache([layers, 1, heads, past, size]);
  }
  const feeds = Object.fromEntries(session.inputNames.map(name => [name, inputs[name]]));
  const warmUp = Math.ceil(runs / 10);
  const times = [];
  for (let i = 0; i < runs + warmUp; i++) {
    const start = process.hrtime.bigint();
    await session.run(feeds);
    if (i >= warmUp) times.push(Number(process.hrtime.bigint() - start) / 1e3);
  }
  times.sort((a, b) => a - b);
  console.log(JSON.stringify({
    name: `act_d${width}_L${layers}_H${heads}_T${context}`, who: `ONNX Runtime ${version}${byLayer ? ' by layer' : ''}${int8 ? ' int8' : ''}`,
    value: times[times.length >> 1], unit: 'us', p99: times[Math.floor(times.length * 0.99)],
  }));
}

main();
