/**
 * The detail-deficient model itself in place of the conditional prediction, D̂ = D_m(c) + …: what Detail Guidance
 * moves away from, to look at (Gan et al., arXiv 2510.11538, figure of the disruption experiments).
 */
import type { z } from 'zod';

import { strictObject } from '../validation/vocabulary';

import { detailDeficient, disruptionOptions } from './disruption';
import { conditional, type Contribution, type GuidanceContext } from './term';
import { windowed, windowOptions } from './window';

export const disruptSchema = strictObject({ ...disruptionOptions, ...windowOptions });
export type DisruptOptions = z.output<typeof disruptSchema>;

export function disrupt(options: DisruptOptions, context: GuidanceContext): Contribution {
  const positive = detailDeficient('options.guidance.disrupt', options, context);
  const weights = windowed(1, options, context);
  return { terms: [{ technique: 'disrupt', positive, negative: conditional, weights }] };
}
