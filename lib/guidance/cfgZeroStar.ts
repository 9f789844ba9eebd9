/**
 * CFG-Zero*, Fan et al., arXiv 2503.18886: classifier-free guidance for flow models with the unconditional prediction
 * scaled to where it is nearest to the conditional one, and nothing at all in the first steps.
 *
 *   D̂ = α D(∅) + s (D(c) − α D(∅)),  α = ⟨D(c), D(∅)⟩ / (‖D(∅)‖² + 1e-8),  D̂ = 0 in the first steps
 *
 * It changes what `classifierFree` does and needs it.
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { whole } from '../validation/vocabulary';

import { conditional, unconditional, type Contribution, type GuidanceContext } from './term';
import { insideWindow, techniqueSchema, type GuidanceWindow } from './window';

/** CFG-Zero*, arXiv 2503.18886. It changes what `classifierFree` does, which has to be given too. */
export interface CfgZeroStarOptions extends GuidanceWindow {
  /** Steps at the start in which the prediction is 0; a whole number from 0 to 1000. Default 1. */
  zeroSteps?: number;
}

export const cfgZeroStarSchema = describedBy<CfgZeroStarOptions>()(
  techniqueSchema({ zeroSteps: whole(0, 1000).default(1) }),
);

export function cfgZeroStar(options: z.output<typeof cfgZeroStarSchema>, context: GuidanceContext): Contribution {
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
