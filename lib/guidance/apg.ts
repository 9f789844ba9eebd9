/**
 * Adaptive projected guidance, Sadat et al., arXiv 2410.02416: classifier-free guidance whose direction Δ = D(c) − D(∅)
 * is averaged with a (negative) momentum, limited in norm, and stripped of the part that is parallel to D(c).
 *
 *   Δ̄ = Δ + β Δ̄_{previous},  Δ̄ := Δ̄ · min(1, r / ‖Δ̄‖),  D̂ = D(c) + (s − 1) (Δ̄_⊥ + η Δ̄_∥)
 *
 * It changes what `classifierFree` does and needs it.
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { finite } from '../validation/vocabulary';

import { conditional, unconditional, type Contribution, type GuidanceContext } from './term';
import { insideWindow, techniqueSchema, type GuidanceWindow } from './window';

/** Adaptive projected guidance, arXiv 2410.02416. It changes what `classifierFree` does, which has to be given too. */
export interface ApgOptions extends GuidanceWindow {
  /** η, the share of the direction's part parallel to the conditional prediction that is kept; −10 to 10. Default 0. */
  eta?: number;
  /** r, the largest L2 norm of the direction over one image, from 0; 0 does not limit it. Default 15. */
  normThreshold?: number;
  /** β, weight of the earlier directions in their running sum, −1 to 1. Default −0.5. */
  momentum?: number;
}

export const apgSchema = describedBy<ApgOptions>()(
  techniqueSchema({
    eta: finite(-10, 10).default(0),
    normThreshold: finite(0, 1_000_000).default(15),
    momentum: finite(-1, 1).default(-0.5),
  }),
);

export function apg(options: z.output<typeof apgSchema>, context: GuidanceContext): Contribution {
  const { eta, normThreshold, momentum } = options;
  const active = insideWindow(options, context);
  const [branch, reference] = [unconditional, conditional];
  return { terms: [], adjustments: [{ kind: 'apg', branch, reference, active, eta, normThreshold, momentum }] };
}
