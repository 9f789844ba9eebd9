/**
 * The detail-deficient model itself in place of the conditional prediction, D̂ = D_m(c) + …: what Detail Guidance
 * moves away from, to look at (Gan et al., arXiv 2510.11538, figure of the disruption experiments).
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';

import { detailDeficient, disruptionOptions, type DisruptionOptions } from './disruption';
import { conditional, type Contribution, type GuidanceContext } from './term';
import { windowed, techniqueSchema, type GuidanceWindow } from './window';

/** The detail-deficient model in place of the conditional prediction, arXiv 2510.11538. */
export interface DisruptOptions extends DisruptionOptions, GuidanceWindow {}

export const disruptSchema = describedBy<DisruptOptions>()(techniqueSchema({ ...disruptionOptions }));

export function disrupt(options: z.output<typeof disruptSchema>, context: GuidanceContext): Contribution {
  const positive = detailDeficient('options.guidance.disrupt', options, context);
  const weights = windowed(1, options, context);
  return { terms: [{ technique: 'disrupt', positive, negative: conditional, weights }] };
}
