/** The memory that loading takes at its highest, over what the weights take. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { packageRoot } from '../lib/packageRoot';

import { judge, type Result } from './report';
import { median, quantile } from './statistics';

export const loadPeakName = 'load-peak-over-weights';

/** Why it cannot be measured here, or null. */
export function withoutLoadPeak(device: string): string | null {
  if (device !== 'cpu') return 'resident memory is what counts on the CPU';
  return existsSync('/proc/self/clear_refs') ? null : 'the peak of resident memory is read from Linux’ /proc';
}

/** @param bundle large enough that the rest of the process does not count */
export async function measureLoadPeak(bundle: string, rounds: number): Promise<Result> {
  const root = packageRoot();
  const args = [join(root, 'bench', 'loadPeakChild.cjs'), join(root, 'dist', 'index.cjs'), bundle];
  const found: { risen: number; weights: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const { stdout } = await promisify(execFile)(process.execPath, args);
    found.push(JSON.parse(stdout) as (typeof found)[number]);
  }
  const ratios = found.map(({ risen, weights }) => risen / weights);
  const ratio = median(ratios);
  return {
    name: loadPeakName,
    ratio,
    quartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    samples: rounds,
    ...judge(ratio, { atMost: 1.1 }),
    seconds: null,
    processorRatio: null,
    peakBytes: [median(found.map(({ risen }) => risen)), found[0]!.weights],
  };
}
