/**
 * Classifier-free guidance, Ho and Salimans, arXiv 2207.12598:
 *
 *   D̂ = D(∅) + s (D(c) − D(∅)) = D(c) + (s − 1) (D(c) − D(∅))
 *
 * `scale` is the usual s; the "extra" form that the Detail Guidance paper writes has λ = s − 1.
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { finite } from '../validation/vocabulary';

import { reuseOf, reuseOptions, type ReuseOptions } from './reuse';
import { conditional, unconditional, type Contribution, type GuidanceContext } from './term';
import { windowed, techniqueSchema, type GuidanceWindow } from './window';

/** Classifier-free guidance, arXiv 2207.12598. BAD_OPTION for a model that has nothing to be unconditional on. */
export interface ClassifierFreeOptions extends ReuseOptions, GuidanceWindow {
  /** s, from 0 to 100; 1 is the conditional prediction alone. Default 4. */
  scale?: number;
}

export const classifierFreeSchema = describedBy<ClassifierFreeOptions>()(
  techniqueSchema({ scale: finite(0, 100).default(4), ...reuseOptions }),
);

export function classifierFree(options: z.output<typeof classifierFreeSchema>, context: GuidanceContext): Contribution {
  const weights = windowed(options.scale - 1, options, context);
  const reuse = reuseOf('options.guidance.classifierFree', options.reuse, weights, context);
  return {
    terms: [{ technique: 'classifierFree', positive: conditional, negative: unconditional, weights, ...reuse }],
  };
}
