'use strict';
// `npm run soak`: the same things over and over, with the slope of the resident memory and its standard error.
//   --generate N (1000) --aborts N (1000) --loads N (300) --workers N (100) --exits N (200)
// Each part in a process of its own; needs `npm run build`.

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { Worker } = require('node:worker_threads');

/* global AbortController */
const long = { classLabel: 0, seed: 1, numInferenceSteps: 1000 };
const exitProgram = path.join(__dirname, '..', 'test', 'lib', 'lifecycle', 'programs', 'exit.cjs');

const open = () => require('detail-guidance').loadPipeline('embedded', { device: 'cpu' });

/** @type {Record<string, { count: number, prepare?: () => Promise<any>, once: (context: any, index: number) => unknown }>} */
const parts = {
  generate: {
    count: 1000,
    prepare: open,
    once: (pipeline, index) => pipeline.generate({ ...long, seed: index, numInferenceSteps: 4 }),
  },
  aborts: {
    count: 1000,
    prepare: open,
    once: async (pipeline, index) => {
      const controller = new AbortController();
      const onStep = (/** @type {{ step: number }} */ { step }) => step === 1 + (index % 3) && controller.abort();
      await pipeline.generate({ ...long, onStep, signal: controller.signal }).then(
        () => Promise.reject(new Error('it was not aborted')),
        (/** @type {{ code: string }} */ { code }) => {
          if (code !== 'ABORT_ERR') throw new Error(`an abort ended with ${code}`);
        },
      );
    },
  },
  loads: {
    count: 300,
    once: async () => {
      const pipeline = await open();
      await pipeline.generate({ ...long, numInferenceSteps: 2 });
      await pipeline.dispose();
    },
  },
  workers: {
    count: 100,
    // Ended in mid-run: half of them while onStep reports.
    once: (_, index) =>
      new Promise((resolve, reject) => {
        const program = `
          const { parentPort } = require('node:worker_threads');
          const { loadPipeline } = require('detail-guidance');
          const onStep = ({ step }) => step === 2 && parentPort.postMessage('ready');
          void loadPipeline('embedded', { device: 'cpu' }).then((pipeline) => {
            pipeline.generate({ ...${JSON.stringify(long)}, ${index % 2 ? 'onStep' : ''} }).catch(() => undefined);
            ${index % 2 ? '' : "setTimeout(() => parentPort.postMessage('ready'), 20);"}
          });`;
        const worker = new Worker(program, { eval: true });
        worker.on('message', () => void worker.terminate());
        worker.on('error', reject);
        worker.on('exit', resolve);
      }),
  },
  exits: {
    count: 200,
    once: (_, index) => {
      const scenarios = ['a run', 'two runs', 'onStep', 'an open iterator'];
      const scenario = scenarios[index % scenarios.length];
      const { status, signal } = spawnSync(process.execPath, [
        exitProgram,
        String(scenario),
        String((index * 37) % 200),
      ]);
      if (status !== 7) throw new Error(`process.exit(7) during '${scenario}' ended with ${signal ?? status}`);
    },
  },
};

/** Least squares over the later half, in MB an item, with its standard error. @param {number[]} resident */
function slope(resident) {
  const values = resident.slice(Math.floor(resident.length / 2));
  const n = values.length;
  const middle = (n - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const spread = values.reduce((sum, _, at) => sum + (at - middle) ** 2, 0);
  const rise = values.reduce((sum, value, at) => sum + (at - middle) * (value - mean), 0) / spread;
  const rest = values.reduce((sum, value, at) => sum + (value - mean - rise * (at - middle)) ** 2, 0);
  return { rise, error: Math.sqrt(rest / (n - 2) / spread) };
}

/** @param {string} name @param {number} count */
async function runPart(name, count) {
  const part = parts[name];
  if (!part) throw new Error(`There is no part '${name}'.`);
  const { prepare, once } = part;
  const context = await prepare?.();
  const resident = [];
  for (let index = 0; index < count; index++) {
    await once(context, index);
    globalThis.gc?.();
    resident.push(process.memoryUsage().rss / 1e6);
  }
  await context?.dispose();
  const { rise, error } = slope(resident);
  console.log(
    `${name.padEnd(8)} ${String(count).padStart(5)} times, 0 failures, resident ${resident.at(-1)?.toFixed(0)} MB, ` +
      `growth ${rise.toFixed(4)} ± ${error.toFixed(4)} MB each`,
  );
}

function main() {
  const options = Object.fromEntries(
    Object.entries(parts).map(([name, { count }]) => [
      name,
      { type: /** @type {const} */ ('string'), default: String(count) },
    ]),
  );
  const { values } = parseArgs({ options });
  for (const [name, value] of Object.entries(values)) {
    const count = Number(value);
    if (!Number.isInteger(count) || count < 0)
      throw new Error(`--${name}: expected a whole number, received '${value}'.`);
    if (count === 0) continue;
    const args = ['--expose-gc', __filename, 'part', name, String(Math.max(count, 8))];
    const { status, signal } = spawnSync(process.execPath, args, { stdio: 'inherit' });
    if (status === 0) continue;
    console.log(`${name.padEnd(8)} FAILED: ${signal ?? `exit code ${status}`}`);
    process.exitCode = 1;
  }
}

if (process.argv[2] === 'part') void runPart(process.argv[3] ?? '', Number(process.argv[4]));
else main();
