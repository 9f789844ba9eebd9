'use strict';
// Ends worker threads in the middle of something: `workers.cjs SCENARIO COUNT`. Prints the resident memory in MB after
// each of them, then whether this thread's own pipeline makes the picture that it made before.
const { Buffer } = require('node:buffer');
const { setImmediate } = require('node:timers');
const { isMainThread, parentPort, workerData, Worker } = require('node:worker_threads');
const { loadPipeline } = require('detail-guidance');

const long = { classLabel: 0, seed: 1, numInferenceSteps: 1000 };
const open = () => loadPipeline('embedded', { device: 'cpu' });
const quietly = (promise) => void promise.catch(() => undefined);
const ready = () => parentPort.postMessage('ready');

// 'ready' has the worker ended; those that say nothing end themselves.
const scenarios = {
  'onStep reports': async () => {
    const pipeline = await open();
    quietly(pipeline.generate({ ...long, onStep: ({ step }) => step === 2 && ready() }));
  },
  'an onStep waits': async () => {
    const pipeline = await open();
    quietly(pipeline.generate({ ...long, onStep: () => (ready(), new Promise(() => undefined)) }));
  },
  'a run': async () => {
    quietly((await open()).generate(long));
    setTimeout(ready, 20);
  },
  'two runs and a call that waits': async () => {
    const [pipeline, other] = [await open(), await open()];
    for (const each of [pipeline, other, other]) quietly(each.generate(long));
    setTimeout(ready, 20);
  },
  'records are read': async () => {
    let records = 0;
    for await (const record of (await open()).activations({ generate: long, tensors: true })) {
      if (record.step >= 0 && ++records === 20) ready();
    }
  },
  loading: async () => {
    quietly(open());
    ready();
  },
  nothing: async () => {
    await open();
    ready();
    setInterval(() => undefined, 1000);
  },
  'process.exit': async () => {
    const pipeline = await open();
    await pipeline.generate({ ...long, onStep: ({ step }) => step === 3 && process.exit(0) });
  },
  'an exception': async () => {
    const pipeline = await open();
    quietly(pipeline.generate({ ...long, onStep: ({ step }) => step === 3 && setImmediate(() => fail()) }));
    const fail = () => {
      throw new Error('on purpose');
    };
  },
  'its own end': async () => {
    await (await open()).generate({ ...long, numInferenceSteps: 2 });
  },
};

async function main() {
  const [, , scenario, count] = process.argv;
  const picture = async () => {
    const { images } = await pipeline.generate({ classLabel: 3, seed: 5, numInferenceSteps: 2 });
    return Buffer.from(images[0].pixels).toString('base64');
  };
  const pipeline = await open();
  const before = await picture();
  const resident = [];
  for (let index = 0; index < Number(count); index++) {
    await new Promise((resolve) => {
      const worker = new Worker(__filename, { workerData: scenario });
      worker.on('message', () => void worker.terminate());
      worker.on('error', () => undefined);
      worker.on('exit', resolve);
    });
    globalThis.gc?.();
    resident.push(Math.round(process.memoryUsage().rss / 1e5) / 10);
  }
  console.log(JSON.stringify({ resident, same: (await picture()) === before }));
  await pipeline.dispose();
}

if (!isMainThread && typeof workerData === 'string') void scenarios[workerData]();
else if (require.main === module) void main();
module.exports = Object.keys(scenarios);
