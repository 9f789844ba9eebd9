/**
 * Step reuse: what a branch adds changes slowly from step to step, so its difference to D(c) may stand for the
 * following steps too, as caching methods do with whole residuals. One state a branch; the first and the last step in
 * which the branch has a weight are always computed.
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { either, finite, strictObject, text, whole } from '../validation/vocabulary';

import type { GuidanceContext, GuidanceTerm } from './term';

/** Decided while sampling, as in TeaCache (arXiv 2411.19108): a branch is reused while a hidden state changes little. */
export interface ThresholdReuse {
  /** Relative L1 change, from 0 to 100. docs/guidance.md says what values cost and save. */
  threshold: number;
  /** Path of the submodule whose first input is measured. Default: the first attention of block 0. */
  path?: string;
}

/** How often a branch is computed. */
export interface ReuseOptions {
  /** Compute the branch every n-th step, 1 to 1000, or by threshold; its difference stands for those between. Default 1. */
  reuse?: number | ThresholdReuse;
}

const reuseSchema = describedBy<number | ThresholdReuse>()(
  either(
    [whole(1, 1000), strictObject({ threshold: finite(0, 100), path: text().optional() })],
    'a whole number from 1 to 1000 or { threshold, path }',
  ),
);

export const reuseOptions = { reuse: reuseSchema.default(1) };

/** How a term is reused, for the option `reuse`. */
export function reuseOf(
  option: string,
  reuse: z.output<typeof reuseSchema>,
  weights: readonly number[],
  context: GuidanceContext,
): Pick<GuidanceTerm, 'reuse' | 'adaptiveReuse'> {
  if (typeof reuse === 'number') return { reuse: reusedEvaluations(reuse, weights, context) };
  const { threshold, path = context.attentions(`${option}.reuse`, 0)[0]!.path } = reuse;
  return { adaptiveReuse: { path, threshold } };
}

/** For each evaluation, whether the difference of an earlier one stands in. */
function reusedEvaluations(every: number, weights: readonly number[], { evaluations }: GuidanceContext): boolean[] {
  const active = [...new Set(evaluations.filter((_, index) => weights[index] !== 0).map(({ step }) => step))];
  return evaluations.map(({ step }, index) => {
    const position = active.indexOf(step);
    return weights[index] !== 0 && position % every !== 0 && position !== active.length - 1;
  });
}
