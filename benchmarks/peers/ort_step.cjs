// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Microseconds of one cached step at full context in ONNX Runtime, one thread, the call from Node included:
//   node ort_step.cjs WIDTH LAYERS HEADS CONTEXT [RUNS]     reads $ONNX_DIR/step_WIDTH_LAYERS_HEADS_CONTEXT.onnx
// The keys and values are handed in whole and only their new rows come back: a real loop would have to append those too.
const path = require('path');
const ort = require('onnxruntime-node');
const { version } = require('onnxruntime-node/package.json');

const [width, layers, heads, context, runs = 1000] = process.argv.slice(2).map(Number);
const file = path.join(process.env.ONNX_DIR || '.', `step_${width}_${layers}_${heads}_${context}.onnx`);

const id = value => new ort.Tensor('int64', BigInt64Array.of(BigInt(value)), [1]);
const cache = () => {
  const shape = [layers, 1, heads, context - 1, width / heads];
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => Math.random() - 0.5);
  return new ort.Tensor('float32', values, shape);
};

async function main() {
  const session = await ort.InferenceSession.create(
    file, { intraOpNumThreads: 1, interOpNumThreads: 1, graphOptimizationLevel: 'all' });
  const inputs = {
    observation: id(0), action: id(0), reward: new ort.Tensor('float32', Float32Array.of(0), [1, 1]),
    position: id(context - 1), keys: cache(), values: cache(),
  };
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
    name: `act_d${width}_L${layers}_H${heads}_T${context}`, who: `ONNX Runtime ${version}`,
    value: times[times.length >> 1], unit: 'us', p99: times[Math.floor(times.length * 0.99)],
  }));
}

main();
