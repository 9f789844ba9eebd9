/** One run of the benchmark: prepares both sides, checks that they compute the same, times them in turn. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { quantizeBundle } from '../lib';
import { psnr } from '../lib/evaluation/fidelity';
import { packageRoot } from '../lib/files/packageRoot';
import { cacheFolder, fingerprint } from '../setup/cache.cjs';
import { testPython } from '../scripts/test-packages.cjs';

import {
  comparisons,
  selectNames,
  workName,
  type Circumstances,
  type Comparison,
  type OwnSampling,
  type Precision,
  type Work,
} from './comparisons';
import type { BenchOptions } from './options';
import { measureMemory, memoryNames, withoutMemory } from './memory';
import { OwnSide } from './own';
import { PeerSide, type PeerDescription } from './peer';
import { quantisedWays, withoutProduct } from './quantised';
import { resultOf, type Result } from './report';
import { takeTurns, type Contestant, type Timing } from './turns';

export interface Benchmark {
  results: Result[];
  leftOut: { name: string; reason: string }[];
  /** Some are left out because something failed. */
  failed: boolean;
  peer: PeerDescription;
  threads: number;
  steps: number;
}

/**
 * Largest relative difference of the two sides' latents (Euclidean norm) before they count as different programs. On
 * CUDA PyTorch's convolutions are TF32 by default, on both sides and for different numbers of rows.
 */
const tolerances: Record<Precision, { cpu: number; cuda: number }> = {
  float32: { cpu: 2e-5, cuda: 1e-3 },
  float16: { cpu: 3e-2, cuda: 3e-2 },
  bfloat16: { cpu: 1e-1, cuda: 1e-1 },
};

/** Pictures that quantised ones are compared over: a GPU's models take longer. */
const [pictures, picturesOnGpu] = [32, 4];

/** Largest relative difference (Euclidean norm) of their latents: beyond it they are other pictures. */
const quantisedTolerance = 0.3;

/** Milliseconds: OpenMP threads of PyTorch's default settings spin for a few of them before they sleep. */
const pause = 50;

/**
 * What fails while it is made ready (the two sides disagree, memory runs out, torch.compile gives up) is left out, with
 * the reason.
 *
 * @param onRound is given what there is after every round, for a run that is interrupted
 * @throws Error when there is no Python with PyTorch, nothing can be compared, or nothing has a name in `only`
 */
export async function runBenchmark(
  options: BenchOptions,
  say: (line: string) => void,
  onRound?: (soFar: Benchmark) => void,
): Promise<Benchmark> {
  const python = peerPython();
  const { device, steps, size, precision, rounds, only } = options;
  const bundle = prepareBundle(size, say);
  const own = new OwnSide(bundle, device, steps);
  const { size: model, fused, bundle: description } = await own.pipeline({ precision });
  const { blocks } = model;
  const peer = new PeerSide({
    python,
    root: packageRoot(),
    bundle,
    size,
    device,
    blocks,
    steps,
    cache: join(benchCache(), 'inductor'),
  });
  try {
    const there = await peer.describe();
    const circumstances = {
      blocks,
      size,
      precision,
      withoutBfloat16: there.withoutBfloat16,
      device,
      fused: [...fused.map(({ kind }) => kind), ...(device === 'cpu' ? [] : ['update' as const])],
      resizable: description.latent.maxHeight !== undefined,
    };
    const candidates = selectNames(comparisons({ ...circumstances, withoutQuantised: {} }).chosen, only);
    const wantsInt8Memory = selectNames(
      memoryNames.map((name) => ({ name })),
      only,
    ).some(isOfInt8);
    const withoutQuantised: Circumstances['withoutQuantised'] = {};
    for (const way of quantisedWays) {
      const isWanted = candidates.some(
        ({ denominator }) => 'quantized' in denominator && denominator.quantized === way,
      );
      if (!isWanted && !(way === 'int8' && wantsInt8Memory)) continue;
      withoutQuantised[way] = await withoutProduct(way, device);
    }
    const noInt8 = withoutQuantised.int8 ?? null;
    const all = comparisons({ ...circumstances, withoutQuantised });
    const selection = selectNames(all.chosen, only);
    const noMemory = withoutMemory(device);
    const memory = memoryNames.map((name) => ({ name, reason: noMemory ?? (isOfInt8({ name }) ? noInt8 : null) }));
    const measured = memory.filter(({ reason }) => reason === null);
    const wantsMemory = selectNames(measured, only).length > 0;
    const leftOut = selectNames(
      [...all.leftOut, ...memory.flatMap(({ name, reason }) => (reason === null ? [] : [{ name, reason }]))],
      only,
    );
    if (selection.length + leftOut.length === 0 && !wantsMemory) {
      const names = [...all.chosen.map(({ name }) => name), ...memoryNames];
      throw new Error(`--only ${only} names none of ${names.join(', ')}`);
    }
    const contestantOf = (work: Work): Contestant => ({
      name: workName(work),
      run: () => (work.side === 'own' ? own.run(work) : peer.run(work)),
    });
    const failures = await warmUp(selection, own, peer, say);
    const failureOf = (comparison: Comparison) =>
      bothSides(comparison)
        .map((work) => failures.get(workName(work)))
        .find((reason) => reason !== undefined);
    const chosen = selection.filter((comparison) => failureOf(comparison) === undefined);
    for (const comparison of selection) {
      const reason = failureOf(comparison);
      if (reason !== undefined) leftOut.push({ name: comparison.name, reason });
    }
    if (selection.length > 0 && chosen.length === 0) {
      throw new Error(
        `Nothing could be compared:\n${leftOut.map((omission) => `${omission.name}: ${omission.reason}`).join('\n')}`,
      );
    }
    const benchmark = (timed: ReadonlyMap<string, readonly Timing[]>): Benchmark => ({
      results: chosen
        .filter((comparison) => bothSides(comparison).every((work) => timed.get(workName(work))?.length))
        .map((comparison) => resultOf(comparison, timed, steps)),
      leftOut,
      failed: failures.size > 0,
      peer: there,
      threads: own.threads(),
      steps,
    });
    const timings = new Map<string, Timing[]>();
    for (const repeats of new Set(chosen.map((comparison) => comparison.repeats))) {
      const works = chosen.filter((comparison) => comparison.repeats === repeats).flatMap(bothSides);
      const contestants = new Map(works.map((work) => [workName(work), contestantOf(work)]));
      const turns = await takeTurns([...contestants.values()], {
        rounds: rounds * repeats,
        pause: repeats === 1 ? pause : 0,
        onRound: (round, soFar) => {
          if (round % repeats !== 0) return;
          onRound?.(benchmark(new Map([...timings, ...soFar])));
          say(`  round ${round / repeats} of ${rounds}`);
        },
      });
      for (const [name, values] of turns) timings.set(name, values);
    }
    const { results, ...run } = benchmark(timings);
    if (wantsMemory) {
      const large = size.startsWith('tiny') ? bundle : prepareBundle('two-gigabytes', say);
      const quantized = noInt8 === null ? await quantizedOf(large) : null;
      results.push(...selectNames(await measureMemory(large, Math.min(rounds, 3), quantized), only));
      say('  memory: ready');
    }
    return { results, ...run };
  } finally {
    await peer.close();
    await own.close();
  }
}

const isOfInt8 = ({ name }: { name: string }) => name.startsWith('int8');

/** The same bundle with its weights in 8 bits, made once. */
async function quantizedOf(bundle: string): Promise<string> {
  const folder = `${bundle}-int8`;
  return existsSync(folder) ? folder : quantizeBundle(bundle, { out: folder });
}

/** The folder of the model that a run of these options would use. */
export function prepareModel({ size }: BenchOptions, say: (line: string) => void): string {
  return prepareBundle(size, say);
}

/** DETAIL_GUIDANCE_BENCH_PYTHON, a Python with torch, else that of the tests. */
function peerPython(): string {
  const python = process.env.DETAIL_GUIDANCE_BENCH_PYTHON;
  if (python) return python;
  const { path, reason } = testPython();
  if (!path) throw new Error(`The benchmark needs Python with PyTorch: ${reason}`);
  return path;
}

const bothSides = ({ numerator, denominator }: Comparison): Work[] => [numerator, denominator];

/** Makes everything once, and compares what the two sides arrive at. Gives what failed, by name. */
async function warmUp(
  chosen: Comparison[],
  own: OwnSide,
  peer: PeerSide,
  say: (line: string) => void,
): Promise<Map<string, string>> {
  const works = new Map(chosen.flatMap(bothSides).map((work) => [workName(work), work]));
  const failures = new Map<string, string>();
  const prepare = async (name: string, work: Work) => {
    if (work.side === 'peer') {
      const ours: OwnSampling = { side: 'own', task: 'sample', depth: work.depth, precision: work.precision };
      const difference = relativeDifference(await own.latents(ours), await peer.latents(work));
      say(`  ${name}: its latents differ from ours by ${difference.toExponential(1)} (relative)`);
      const tolerance = tolerances[work.precision][own.device === 'cpu' ? 'cpu' : 'cuda'];
      if (!(difference < tolerance)) {
        throw new Error(`${name} computes something else than we do: ${difference.toExponential(1)}`);
      }
      await peer.run(work);
    } else if (work.task === 'sample') {
      const latents = await own.latents(work);
      if (work.quantized) say(`  ${name}: ${await errorOfQuantised(work, own)}`);
      if (work.reuse) {
        const { reuse, ...full } = work;
        const decibels = psnr(pictureError(latents, await own.latents(full)));
        say(`  ${name}: ${decibels.toFixed(1)} dB PSNR to the same without reuse (every ${reuse} steps)`);
      }
    } else {
      await own.run(work);
    }
  };
  for (const [name, work] of works) {
    const started = performance.now();
    try {
      await prepare(name, work);
      say(`  ${name}: ready after ${((performance.now() - started) / 1000).toFixed(1)} s`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      failures.set(name, reason);
      say(`  ${name}: failed: ${reason}`);
    }
  }
  return failures;
}

/** Of quantised layers against float32; on a GPU against what the row compares with, which is loaded as it is. */
async function errorOfQuantised({ quantized, ...work }: OwnSampling, own: OwnSide): Promise<string> {
  const isCpu = own.device === 'cpu';
  const plain: OwnSampling = isCpu ? { ...work, precision: 'float32' } : work;
  const count = isCpu ? pictures : picturesOnGpu;
  const [latents, exact] = [await own.latents({ ...work, quantized }, count), await own.latents(plain, count)];
  const apart = relativeDifference(latents, exact);
  const distance = `${psnr(pictureError(latents, exact)).toFixed(1)} dB PSNR, ${apart.toExponential(1)} apart`;
  if (!(apart < quantisedTolerance))
    throw new Error(`${distance}: something else is computed than in ${plain.precision}`);
  return `${distance} (relative) to ${plain.precision} over ${count} pictures`;
}

/** Mean squared difference of two pictures in latents from −1 to 1, as values from 0 to 1. */
function pictureError(a: Float32Array, b: Float32Array): number {
  const value = (latent: number) => (Math.min(Math.max(latent, -1), 1) + 1) / 2;
  return a.reduce((sum, latent, index) => sum + (value(latent) - value(b[index]!)) ** 2, 0) / a.length;
}

/** ‖a − b‖ / ‖b‖. */
export function relativeDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return NaN;
  let [distance, length] = [0, 0];
  b.forEach((value, index) => {
    distance += (value - a[index]!) ** 2;
    length += value ** 2;
  });
  return Math.sqrt(distance / length);
}

const benchCache = () => join(cacheFolder(), 'bench');

/** A model of bench/model.py, made once for every state of the code that makes it. */
export function prepareBundle(size: string, say: (line: string) => void): string {
  const cache = benchCache();
  const state = fingerprint([
    join('bench', 'model.py'),
    join('bench', 'class_transformer.py'),
    join('bench', 'joint_transformer.py'),
    join('models', 'export', 'bundle.py'),
    join('models', 'diffusion_transformer.py'),
    join('models', 'export', 'trace.py'),
  ]);
  const folder = join(cache, `${size}-${state.slice(0, 12)}`);
  if (existsSync(join(folder, 'bundle.json'))) return folder;
  say(`> the benchmark's model (${size})`);
  mkdirSync(cache, { recursive: true });
  const run = spawnSync(peerPython(), ['-m', 'bench.model', '--size', size, '--out', folder], {
    cwd: packageRoot(),
    encoding: 'utf8',
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  if (run.status !== 0) throw new Error(`bench/model.py ended with status ${run.status}:\n${run.stderr}`);
  return folder;
}
