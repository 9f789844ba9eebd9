/**
 * Guidance rescale, Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", arXiv 2305.08891,
 * section 3.4: the guided prediction gets back some of the conditional one's standard deviation, against over-exposure.
 *
 *   D̂ := φ · D̂ · std(D(c)) / std(D̂) + (1 − φ) · D̂
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { finite } from '../validation/vocabulary';

import { conditional, type Contribution, type GuidanceContext } from './term';
import { insideWindow, techniqueSchema, type GuidanceWindow } from './window';

/** Guidance rescale, arXiv 2305.08891, section 3.4. It changes the guided sum. */
export interface RescaleOptions extends GuidanceWindow {
  /** φ, the share of the rescaled prediction in the result, from 0 (off) to 1. Default 0.7. */
  factor?: number;
}

export const rescaleSchema = describedBy<RescaleOptions>()(techniqueSchema({ factor: finite(0, 1).default(0.7) }));

export function rescale(options: z.output<typeof rescaleSchema>, context: GuidanceContext): Contribution {
  const active = insideWindow(options, context);
  return { terms: [], adjustments: [{ kind: 'rescale', reference: conditional, active, factor: options.factor }] };
}
