/** The command line of the benchmark. */
import { parseArgs } from 'node:util';

import type { Precision } from './comparisons';

export interface BenchOptions {
  /** Every round times each thing once. */
  rounds: number;
  /** Steps of an image. */
  steps: number;
  /** Names, parts of names, or patterns with `*`, with commas between them. */
  only?: string;
  device: string;
  precision: Precision;
  /** File for the ratios. */
  json?: string;
  /** File for all that is known of the run. */
  report?: string;
  size: Size;
  /** Only make the model, for a run to come. */
  prepare: boolean;
}

/** Models of bench/model.py. */
const sizes = ['full', 'joint', 'dit-xl-2', 'sd3-medium', 'flux', 'tiny', 'tiny-joint'] as const;
export type Size = (typeof sizes)[number];

export const usage = `npm run bench -- [options]
  --json FILE     write the results as a JSON array of { name, ratio, floor?, samples }
  --report FILE   write all that the table says, and on what it was measured, as JSON
  --only NAMES    comparisons by name, part of a name, or pattern with *, with commas between them; !NAME leaves out
  --rounds N      every round times each thing once, in turn (default 7)
  --steps N       steps of an image (default 8)
  --device NAME   cpu or cuda:N (default cpu)
  --dtype NAME    float32, bfloat16 or float16 (default float32)
  --size NAME     the model: full or joint (text and image), on a GPU dit-xl-2, sd3-medium or flux, for tests tiny or
                  tiny-joint (default full)
  --prepare       write that model into the cache folder, measure nothing`;

const precisions: readonly string[] = ['float32', 'bfloat16', 'float16'] satisfies Precision[];

/** @throws Error that says which option is wrong */
export function parseOptions(args: string[]): BenchOptions | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'string' },
      report: { type: 'string' },
      only: { type: 'string' },
      rounds: { type: 'string', default: '7' },
      steps: { type: 'string', default: '8' },
      device: { type: 'string', default: 'cpu' },
      dtype: { type: 'string', default: 'float32' },
      size: { type: 'string', default: 'full' },
      prepare: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const { dtype, size, device } = values;
  if (!precisions.includes(dtype)) throw new Error(`--dtype: expected ${precisions.join(', ')}, received ${dtype}`);
  if (!isSize(size)) throw new Error(`--size: expected ${sizes.join(', ')}, received ${size}`);
  if (!/^(cpu|cuda(:\d+)?)$/.test(device)) throw new Error(`--device: expected cpu or cuda:0, received ${device}`);
  return {
    rounds: count('rounds', values.rounds),
    steps: count('steps', values.steps),
    precision: dtype as Precision,
    size,
    device,
    prepare: values.prepare,
    ...(values.only === undefined ? {} : { only: values.only }),
    ...(values.json === undefined ? {} : { json: values.json }),
    ...(values.report === undefined ? {} : { report: values.report }),
  };
}

const isSize = (name: string): name is Size => (sizes as readonly string[]).includes(name);

function count(name: string, text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new Error(`--${name}: expected a whole number from 1 to 9999, received ${text}`);
}
