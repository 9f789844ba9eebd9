/** The memory that loading and running take at their highest. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { openBundle } from '../lib/bundle';
import { expectedActivations } from '../lib/model/expectedMemory';
import { packageRoot } from '../lib/files/packageRoot';
import { pictureSize } from '../lib/request/pictureSize';

import { task } from './own';
import { judge, type Result } from './report';
import { median, quantile } from './statistics';

export const memoryNames = ['load-peak-over-weights', 'run-peak-over-expected', 'int8-load-peak-over-weights'] as const;

/** Why it cannot be measured here, or null. */
export function withoutMemory(device: string): string | null {
  if (device !== 'cpu') return 'resident memory is what counts on the CPU';
  return existsSync('/proc/self/clear_refs') ? null : 'the peak of resident memory is read from Linux’ /proc';
}

/**
 * What loading takes over the weights, and what a run by CFG + DG takes beyond them over what `inspect` expects.
 *
 * @param bundle by class, large enough that the rest of the process does not count
 * @param quantized the same with its weights in 8 bits, where this machine computes with them
 */
export async function measureMemory(bundle: string, rounds: number, quantized: string | null): Promise<Result[]> {
  const root = packageRoot();
  const options = {
    classLabel: task.classLabel,
    seed: task.seed,
    numInferenceSteps: 2,
    guidance: {
      classifierFree: { scale: task.cfgScale },
      detail: { scale: task.detailScale, layer: 1, channels: task.channels, retention: 0 },
    },
  };
  const measure = async (folder: string) => {
    const args = [join(root, 'bench', 'memoryChild.cjs'), join(root, 'dist', 'index.cjs'), folder];
    const results: { loading: number; running: number; weights: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      const { stdout } = await promisify(execFile)(process.execPath, [...args, JSON.stringify(options)]);
      results.push(JSON.parse(stdout) as (typeof results)[number]);
    }
    return results;
  };
  const measurements = await measure(bundle);
  const inEight = quantized === null ? [] : await measure(quantized);
  const manifest = await openBundle(bundle);
  const branches = 3;
  const activations = expectedActivations(manifest, 'float32', pictureSize({}, manifest), branches);
  const { weights } = measurements[0]!;
  return [
    overBytes(
      'load-peak-over-weights',
      measurements.map(({ loading }) => loading),
      weights,
      { atMost: 1.1 },
    ),
    overBytes(
      'run-peak-over-expected',
      measurements.map(({ running }) => running),
      activations,
    ),
    ...inEight.slice(0, 1).map(({ weights }) =>
      overBytes(
        'int8-load-peak-over-weights',
        inEight.map(({ loading }) => loading),
        weights,
        { atMost: 1.1 },
      ),
    ),
  ];
}

function overBytes(name: string, bytes: number[], whole: number, goal?: { atMost: number }): Result {
  const ratios = bytes.map((numerator) => numerator / whole);
  const ratio = median(ratios);
  return {
    name,
    ratio,
    quartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    samples: bytes.length,
    ...judge(ratio, goal),
    seconds: null,
    processorRatio: null,
    peakBytes: [median(bytes), whole],
  };
}
