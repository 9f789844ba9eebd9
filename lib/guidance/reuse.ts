/**
 * Step reuse: what a branch adds changes slowly from step to step, so its difference to D(c) may stand for the
 * following steps too, as caching methods do with whole residuals (TeaCache, arXiv 2411.19108). One state a branch; the
 * first and the last step in which the branch has a weight are always computed.
 */
import { whole } from '../options/vocabulary';

import type { GuidanceContext } from './term';

export const reuseOptions = {
  /** Compute the branch in every n-th step only, and reuse its difference in between. Default 1: every step. */
  reuse: whole(1, 1000).default(1),
};

/** For each evaluation, whether the difference of an earlier one stands in. */
export function reusedEvaluations(
  every: number,
  weights: readonly number[],
  { evaluations }: GuidanceContext,
): boolean[] {
  const active = [...new Set(evaluations.filter((_, index) => weights[index] !== 0).map(({ step }) => step))];
  return evaluations.map(({ step }, index) => {
    const position = active.indexOf(step);
    return weights[index] !== 0 && position % every !== 0 && position !== active.length - 1;
  });
}
