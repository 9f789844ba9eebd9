/**
 * Adaptive projected guidance, Sadat et al., arXiv 2410.02416: classifier-free guidance whose direction Δ = D(c) − D(∅)
 * is averaged with a (negative) momentum, limited in norm, and stripped of the part that is parallel to D(c).
 *
 *   Δ̄ = Δ + β Δ̄_{previous},  Δ̄ := Δ̄ · min(1, r / ‖Δ̄‖),  D̂ = D(c) + (s − 1) (Δ̄_⊥ + η Δ̄_∥)
 *
 * It changes what `classifierFree` does and needs it.
 */
import type { z } from 'zod';

import { finite, strictObject } from '../validation/vocabulary';

import { conditional, unconditional, type Contribution, type GuidanceContext } from './term';
import { insideWindow, windowOptions } from './window';

export const apgSchema = strictObject({
  /** η, the share of the parallel part that is kept. Default 0. */
  eta: finite(-10, 10).default(0),
  /** r, the largest norm of Δ̄ over one image; 0 does not limit it. Default 15. */
  normThreshold: finite(0, 1_000_000).default(15),
  /** β. Default −0.5. */
  momentum: finite(-1, 1).default(-0.5),
  ...windowOptions,
});
export type ApgOptions = z.output<typeof apgSchema>;

export function apg(options: ApgOptions, context: GuidanceContext): Contribution {
  const { eta, normThreshold, momentum } = options;
  const active = insideWindow(options, context);
  const [branch, reference] = [unconditional, conditional];
  return { terms: [], adjustments: [{ kind: 'apg', branch, reference, active, eta, normThreshold, momentum }] };
}
