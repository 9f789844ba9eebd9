'use strict';
// Ends this process in the middle of something: `exit.cjs SCENARIO MILLISECONDS`. The right exit code is 7; 1 where
// an exception ends it.
const { Worker } = require('node:worker_threads');
const { loadPipeline } = require('detail-guidance');

const [, , scenario, milliseconds] = process.argv;
const long = { classLabel: 0, seed: 1, numInferenceSteps: 1000 };
const open = () => loadPipeline('embedded', { device: 'cpu' });
const quietly = (promise) => void promise.catch(() => undefined);
const soon = (action) => setTimeout(action, Number(milliseconds));
const exit = () => process.exit(7);

const scenarios = {
  'a run': async () => {
    quietly((await open()).generate(long));
    soon(exit);
  },
  'two runs': async () => {
    for (const pipeline of [await open(), await open()]) quietly(pipeline.generate(long));
    soon(exit);
  },
  onStep: async () => {
    const pipeline = await open();
    await pipeline.generate({ ...long, onStep: ({ step }) => step === 3 && exit() });
  },
  'an onStep that waits': async () => {
    const pipeline = await open();
    quietly(pipeline.generate({ ...long, onStep: () => new Promise(() => undefined) }));
    soon(exit);
  },
  'an open iterator': async () => {
    const pipeline = await open();
    await pipeline.activations({ generate: long, tensors: true }).next();
    soon(exit);
  },
  loading: async () => {
    quietly(open());
    soon(exit);
  },
  'a run in a worker': async () => {
    quietly((await open()).generate(long));
    const program = `
      const { parentPort } = require('node:worker_threads');
      const { loadPipeline } = require('detail-guidance');
      void loadPipeline('embedded', { device: 'cpu' }).then((pipeline) =>
        pipeline.generate({ classLabel: 0, numInferenceSteps: 1000, onStep: () => parentPort.postMessage('step') }));`;
    new Worker(program, { eval: true }).once('message', () => soon(exit));
  },
  'a handler that goes on': async () => {
    const pipeline = await open();
    process.on('exit', () => {
      quietly(pipeline.generate(long));
      quietly(pipeline.dispose());
      quietly(open());
    });
    quietly(pipeline.generate(long));
    soon(exit);
  },
  'without a word': async () => {
    const pipeline = await open();
    await pipeline.generate({ ...long, numInferenceSteps: 2 });
    quietly(pipeline.generate(long));
    // What process.exit() calls after its handlers: JavaScript hears nothing.
    soon(() => process.reallyExit(7));
  },
  'an uncaught exception': async () => {
    quietly((await open()).generate(long));
    soon(() => {
      throw new Error('on purpose');
    });
  },
  'an unhandled rejection': async () => {
    quietly((await open()).generate(long));
    soon(() => Promise.reject(new Error('on purpose')));
  },
  'the end of the program': async () => {
    process.exitCode = 7;
    const pipeline = await open();
    await pipeline.generate({ classLabel: 0, numInferenceSteps: 2 });
  },
};

if (require.main === module) void scenarios[scenario]();
module.exports = Object.keys(scenarios);
