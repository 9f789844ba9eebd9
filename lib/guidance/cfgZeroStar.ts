/**
 * CFG-Zero*, Fan et al., arXiv 2503.18886: classifier-free guidance for flow models with the unconditional prediction
 * scaled to where it is nearest to the conditional one, and nothing at all in the first steps.
 *
 *   D̂ = α D(∅) + s (D(c) − α D(∅)),  α = ⟨D(c), D(∅)⟩ / (‖D(∅)‖² + 1e-8),  D̂ = 0 in the first steps
 *
 * It changes what `classifierFree` does and needs it.
 */
import type { z } from 'zod';

import { strictObject, whole } from '../validation/vocabulary';

import { conditional, unconditional, type Contribution, type GuidanceContext } from './term';
import { insideWindow, windowOptions } from './window';

export const cfgZeroStarSchema = strictObject({
  /** Steps at the start in which the prediction is 0. Default 1. */
  zeroSteps: whole(0, 1000).default(1),
  ...windowOptions,
});
export type CfgZeroStarOptions = z.output<typeof cfgZeroStarSchema>;

export function cfgZeroStar(options: CfgZeroStarOptions, context: GuidanceContext): Contribution {
  const active = insideWindow(options, context);
  const first = context.evaluations.map(({ step }) => step < options.zeroSteps);
  return {
    terms: [],
    adjustments: [
      { kind: 'project', branch: unconditional, reference: conditional, active },
      { kind: 'zero', active: first },
    ],
  };
}
