/**
 * What has to hold on a device, as a program that needs nothing but the built addon: `node build/bench-cuda/checks.cjs
 * --device cuda:0`. On the CPU (`--device cpu`) the same checks run where they mean something, which proves the program
 * itself. Prints a line for each check and a JSON document with `--json FILE`, which has after every check what there
 * is; exit code 1 when one fails.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import {
  DetailGuidanceError,
  emptyCache,
  listDevices,
  loadPipeline,
  memoryStatistics,
  quantizeBundle,
  type GenerateOptions,
  type LoadOptions,
} from '../../lib';

interface Outcome {
  name: string;
  status: 'passed' | 'failed' | 'skipped';
  detail: string;
}

const { values: flags } = parseArgs({
  options: {
    device: { type: 'string', default: 'cuda:0' },
    runs: { type: 'string', default: '200' },
    json: { type: 'string' },
  },
});
const device = flags.device;
const isCuda = device.startsWith('cuda');

const options: GenerateOptions = {
  classLabel: 'Coat',
  seed: 5,
  numInferenceSteps: 12,
  guidance: { classifierFree: { scale: 3 }, detail: { scale: 0.3 } },
};

async function latents(load: LoadOptions, generate: GenerateOptions = options, bundle = 'embedded') {
  await using pipeline = await loadPipeline(bundle, load);
  const { latents, execution } = await pipeline.generate(generate);
  return { values: latents.data as Float32Array, execution };
}

/** ‖a − b‖ / ‖b‖. */
function difference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new Error(`${a.length} numbers beside ${b.length}`);
  let [distance, length] = [0, 0];
  b.forEach((value, at) => {
    distance += (value - a[at]!) ** 2;
    length += value ** 2;
  });
  return Math.sqrt(distance / length);
}

function require(holds: boolean, detail: string): string {
  if (!holds) throw new Error(detail);
  return detail;
}

/** Relative difference of the latents to the CPU's in float32 (Euclidean norm) that is allowed. */
const tolerances = { float32: 1e-3, float16: 3e-2, bfloat16: 1.5e-1 } as const;

/** Sets DETAIL_GUIDANCE_CUDA_GRAPHS for the pipelines that `work` loads. */
async function withGraphs<Result>(on: boolean, work: () => Promise<Result>): Promise<Result> {
  process.env.DETAIL_GUIDANCE_CUDA_GRAPHS = on ? '1' : '0';
  try {
    return await work();
  } finally {
    delete process.env.DETAIL_GUIDANCE_CUDA_GRAPHS;
  }
}

/**
 * Bytes that libtorch may take of the device: enough for every other check, too few for `mostPictures` at once. The
 * hidden states of the feed-forward networks alone are 49 tokens x 512 channels x 4 bytes a row, two rows a picture.
 */
const memoryLimit = 500e6;
const mostPictures = 4096;

/** Read by the libraries when they are loaded, so the device's memory is asked of nvidia-smi. */
function setEnvironment(): void {
  const query = spawnSync('nvidia-smi', ['--query-gpu=memory.total', '--format=csv,noheader,nounits']);
  const mebibytes = Number(String(query.stdout ?? '').split('\n')[0]);
  if (mebibytes > 0) {
    const fraction = memoryLimit / (mebibytes * 2 ** 20);
    process.env.PYTORCH_CUDA_ALLOC_CONF ??= `per_process_memory_fraction:${fraction.toFixed(6)}`;
  }
  // The CPU has no TF32, which PyTorch's convolutions use by default: what is compared is our arithmetic.
  process.env.NVIDIA_TF32_OVERRIDE ??= '0';
}

const needsCuda = isCuda ? null : 'needs a CUDA device';

/** What rounding to 8 bits may change of the latents, relative. */
const int8Tolerance = 5e-2;

/** Ways to quantise, and the relative difference to the CPU's latents in float32 that is allowed. */
const quantised = [
  { name: 'int8', quantize: 'int8', tolerance: int8Tolerance },
  { name: 'fp8', quantize: 'fp8', tolerance: 2e-1 },
  { name: 'weight-only int8', quantize: { activations: 'none' }, tolerance: 3e-2 },
  { name: 'weight-only fp8', quantize: { weights: 'fp8', activations: 'none' }, tolerance: 1e-1 },
] as const satisfies { name: string; quantize: LoadOptions['quantize']; tolerance: number }[];

/** What `work` says; where a device has no product for it, why: the check is skipped. */
async function unlessUnavailable(work: () => Promise<string>): Promise<string | { skip: string }> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DetailGuidanceError && error.code === 'PRECISION_UNAVAILABLE') return { skip: error.message };
    throw error;
  }
}

async function storedLatents(quantize: LoadOptions['quantize']) {
  const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-checks-'));
  try {
    const out = await quantizeBundle('embedded', { out: join(folder, 'stored'), ...(quantize ? { quantize } : {}) });
    return await latents({ device }, options, out);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const checks: { name: string; skip?: string | null; run: () => Promise<string | { skip: string }> }[] = [
  ...(['float32', 'float16', 'bfloat16'] as const).map((dtype) => ({
    name: `the CPU's latents, in ${dtype}`,
    run: async () => {
      const expected = await latents({ device: 'cpu', dtype: 'float32' });
      const actual = await latents({ device, dtype });
      const apart = difference(actual.values, expected.values);
      return require(apart <
        tolerances[dtype], `${apart.toExponential(2)} apart, less than ${tolerances[dtype]} wanted`);
    },
  })),
  {
    name: 'the same seed, the same bytes',
    run: async () => {
      const [first, second] = [await latents({ device }), await latents({ device })];
      return require(difference(first.values, second.values) === 0, 'two pipelines, equal to the bit');
    },
  },
  {
    name: 'fusing changes the result by rounding alone',
    run: async () => {
      const plain = await latents({ device, fuse: false });
      const fused = await latents({ device });
      const apart = difference(fused.values, plain.values);
      const { notFused } = fused.execution;
      return require(apart < 1e-3 &&
        notFused === null, `${apart.toExponential(2)} apart; not fused: ${notFused ?? 'nothing'}`);
    },
  },
  {
    name: 'CUDA graphs replay, and change nothing',
    skip: needsCuda,
    run: async () => {
      const eager = await withGraphs(false, () => latents({ device }));
      const replayed = await withGraphs(true, () => latents({ device }));
      const { captured, replayed: replays, reason } = replayed.execution.graphs;
      const apart = difference(replayed.values, eager.values);
      return require(replays > 0 &&
        eager.execution.graphs.replayed === 0 &&
        apart <
          1e-5, `${captured} captured, ${replays} replayed, ${apart.toExponential(2)} apart; not captured: ${reason ?? 'nothing'}`);
    },
  },
  {
    name: 'other channels, retention and scales take effect in what was recorded',
    run: async () => {
      const detail = { scale: 0.6, channels: [3, 40, 77], retention: 0.25 };
      const other: GenerateOptions = { ...options, guidance: { classifierFree: { scale: 2 }, detail } };
      await using pipeline = await loadPipeline('embedded', { device });
      await pipeline.generate({
        ...options,
        guidance: { classifierFree: { scale: 3 }, detail: { ...detail, channels: [1, 2, 5] } },
      });
      const { latents: actual, execution } = await pipeline.generate(other);
      const expected = await withGraphs(false, () => latents({ device }, other));
      const apart = difference(actual.data as Float32Array, expected.values);
      return require(apart < 1e-5 &&
        execution.graphs.captured ===
          0, `${apart.toExponential(2)} apart, ${execution.graphs.replayed} replays, nothing captured anew`);
    },
  },
  {
    name: 'statistics of every block are made in the graphs, and are those without',
    run: async () => {
      const record = (on: boolean) =>
        withGraphs(on, async () => {
          await using pipeline = await loadPipeline('embedded', { device });
          const run = pipeline.activations({
            generate: options,
            branches: 'all',
            statistics: { percentiles: [99], tokens: true, top: 4 },
          });
          const values: number[] = [];
          for (;;) {
            const { done, value } = await run.next();
            if (done) return { values: Float32Array.from(values), execution: value.execution };
            const { channels, tokens, top } = value;
            const parts = [channels!.max, channels!.median, channels!.variance, channels!.percentiles![0]!.values];
            for (const part of [...parts, tokens!.norm, top!.map(({ value: strongest }) => strongest)])
              values.push(...part);
          }
        });
      const [eager, graphed] = [await record(false), await record(true)];
      const apart = difference(graphed.values, eager.values);
      const { replayed, reason } = graphed.execution.graphs;
      return require(replayed > 0 === isCuda &&
        apart <
          1e-5, `${eager.values.length} numbers, ${apart.toExponential(2)} apart, ${replayed} replays; not captured: ${reason ?? 'nothing'}`);
    },
  },
  {
    name: 'adaptive reuse measures in the graphs what it does without',
    run: async () => {
      const reusing: GenerateOptions = {
        ...options,
        guidance: { classifierFree: { scale: 3 }, detail: { scale: 0.3, reuse: { threshold: 0.3 } } },
      };
      const eager = await withGraphs(false, () => latents({ device }, reusing));
      const [graphed, whole] = [await latents({ device }, reusing), await latents({ device })];
      if (difference(whole.values, eager.values) === 0) throw new Error('nothing was reused: the threshold is too low');
      const apart = difference(graphed.values, eager.values);
      const { replayed } = graphed.execution.graphs;
      return require(apart < 1e-5 && replayed > 0 === isCuda, `${apart.toExponential(2)} apart, ${replayed} replays`);
    },
  },
  ...quantised.map(({ name, quantize, tolerance }) => ({
    name: `${name}: the CPU's latents in float32 nearly, the same bytes again and from a stored bundle`,
    run: () =>
      unlessUnavailable(async () => {
        const expected = await latents({ device: 'cpu', dtype: 'float32' });
        const [first, second] = [await latents({ device, quantize }), await latents({ device, quantize })];
        const stored = await storedLatents(quantize);
        const apart = difference(first.values, expected.values);
        const [repetition, storage] = [first, stored].map(({ values }) => difference(values, second.values));
        const { product, layers } = first.execution.quantized!;
        const { replayed, reason } = first.execution.graphs;
        return require(apart > 0 &&
          apart < tolerance &&
          repetition === 0 &&
          storage === 0 &&
          (!isCuda ||
            replayed >
              0), `${layers.length} layers by ${product}: ${apart.toExponential(2)} apart, less than ${tolerance} wanted; ${repetition} from run to run, ${storage} stored; ${replayed} replays; not captured: ${reason ?? 'nothing'}`);
      }),
  })),
  {
    // The products are of whole numbers and exact; but a last bit moves numbers between two steps to either, and twelve
    // guided steps make of that what rounding to 8 bits makes of it.
    name: "int8: the CPU's int8",
    run: () =>
      unlessUnavailable(async () => {
        const expected = await latents({ device: 'cpu', quantize: 'int8' });
        const actual = await latents({ device, quantize: 'int8' });
        const apart = difference(actual.values, expected.values);
        return require(apart < int8Tolerance, `${apart.toExponential(2)} apart, less than ${int8Tolerance} wanted`);
      }),
  },
  {
    name: 'quantised layers: fusing changes the result by rounding alone',
    run: () =>
      unlessUnavailable(async () => {
        const plain = await latents({ device, quantize: 'int8', fuse: false });
        const fused = await latents({ device, quantize: 'int8' });
        const apart = difference(fused.values, plain.values);
        const { notFused } = fused.execution;
        return require(apart < int8Tolerance &&
          notFused === null, `${apart.toExponential(2)} apart; not fused: ${notFused ?? 'nothing'}`);
      }),
  },
  {
    name: `no memory is lost in ${flags.runs} runs`,
    run: async () => {
      await using pipeline = await loadPipeline('embedded', { device });
      const short = { ...options, numInferenceSteps: 4 };
      const used = async () => (await memoryStatistics(device))?.allocated ?? process.memoryUsage().rss;
      for (let run = 0; run < 20; ++run) await pipeline.generate(short);
      const before = await used();
      for (let run = 0; run < Number(flags.runs); ++run) await pipeline.generate({ ...short, seed: run });
      const grown = (await used()) - before;
      // Device memory is counted to the byte; the process's moves by what its allocators keep.
      return require(grown <= (isCuda ? 0 : 64e6), `${grown} bytes more than before`);
    },
  },
  {
    name: 'blocks that wait in host memory: the same bytes, with two of them on the device',
    run: async () => {
      // A read that does not wait for its copy may go well once.
      const memory = async () => (await memoryStatistics(device))?.allocated ?? 0;
      const before = await memory();
      const expected = await withGraphs(false, () => latents({ device }));
      await emptyCache(device);
      await using pipeline = await loadPipeline('embedded', { device, offload: 'blocks' });
      const weights = (await memory()) - before;
      let apart = 0;
      for (let run = 0; run < 20; ++run) {
        const { latents: found } = await pipeline.generate(options);
        apart = Math.max(apart, difference(found.data as Float32Array, expected.values));
      }
      const { execution } = await pipeline.generate(options);
      const { blocks, bytes, resident } = execution.offload!;
      const there = `${weights} bytes on the device after loading, ${bytes} wait`;
      return require(apart === 0 &&
        resident <= (2 * bytes) / blocks &&
        weights <= (isCuda ? pipeline.size.bytes - bytes + 2e5 : 0) &&
        execution.graphs.captured ===
          0, `${apart.toExponential(2)} apart, ${resident} bytes of the blocks at once; ${there}; ${execution.graphs.reason ?? 'no graphs here'}`);
    },
  },
  {
    name: 'memory that runs out is OUT_OF_MEMORY, and the pipeline goes on',
    skip: needsCuda,
    run: async () => {
      await using pipeline = await loadPipeline('embedded', { device });
      const before = await pipeline.generate(options);
      let code: unknown = 'none';
      try {
        await pipeline.generate({ ...options, numInferenceSteps: 1, numImages: mostPictures, batchSize: mostPictures });
      } catch (error) {
        code = (error as { code?: unknown }).code;
      }
      const after = await pipeline.generate(options);
      const same = difference(after.latents.data as Float32Array, before.latents.data as Float32Array) < 1e-5;
      await emptyCache(device);
      return require(code === 'OUT_OF_MEMORY' &&
        same, `${mostPictures} pictures at once: ${String(code)}; the next run is as before: ${same}`);
    },
  },
];

async function main(): Promise<void> {
  setEnvironment();
  const { name } = listDevices().find(({ id }) => id === device) ?? {};
  if (name === undefined)
    throw new Error(
      `--device: expected ${listDevices()
        .map(({ id }) => id)
        .join(', ')}, received ${device}`,
    );
  console.log(`${device}: ${name}`);
  const outcomes: Outcome[] = [];
  for (const { name, skip, run } of checks) {
    let outcome: Outcome;
    if (skip) {
      outcome = { name, status: 'skipped', detail: skip };
    } else {
      try {
        const result = await run();
        outcome =
          typeof result === 'string'
            ? { name, status: 'passed', detail: result }
            : { name, status: 'skipped', detail: result.skip };
      } catch (error) {
        outcome = { name, status: 'failed', detail: error instanceof Error ? error.message : String(error) };
      }
    }
    console.log(`${outcome.status.padEnd(8)}${outcome.name}: ${outcome.detail}`);
    outcomes.push(outcome);
    if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify({ device, name, outcomes }, null, 2)}\n`);
  }
  if (outcomes.some(({ status }) => status === 'failed')) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
