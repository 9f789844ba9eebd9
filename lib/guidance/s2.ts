/**
 * S²-Guidance, Chen et al., arXiv 2508.12880: away from a sub-network that misses some blocks, drawn anew in every
 * step.
 *
 *   D̂ = … + ω (D(c) − D_{m_t}(c)),  m_t a random tenth of the blocks
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { finite, whole } from '../validation/vocabulary';

import { draw } from './seededDraw';
import { withoutLayers } from './slg';
import { conditional, type Contribution, type GuidanceContext, type GuidanceTerm } from './term';
import { windowed, techniqueSchema, type GuidanceWindow } from './window';

/** S²-Guidance, arXiv 2508.12880. */
export interface S2Options extends GuidanceWindow {
  /** ω, from 0 to 100. Default 0.25. */
  scale?: number;
  /** Share of the blocks that is skipped in a step, from 0 to 1; at least one block is, and one is left. Default 0.1. */
  share?: number;
  /** Draws the blocks; a whole number from 0. Default 0. */
  seed?: number;
}

export const s2Schema = describedBy<S2Options>()(
  techniqueSchema({
    scale: finite(0, 100).default(0.25),
    share: finite(0, 1).default(0.1),
    seed: whole(0).default(0),
  }),
);

export function s2(options: z.output<typeof s2Schema>, context: GuidanceContext): Contribution {
  const { layers, evaluations } = context;
  // A model that skips every block is no sub-network.
  const count = Math.min(Math.max(1, Math.round(options.share * layers)), Math.max(layers - 1, 1));
  const weights = windowed(options.scale, options, context);
  const pool = Array.from({ length: layers }, (_, layer) => layer);
  const terms = evaluations.map((_, evaluation): GuidanceTerm => {
    const skipped = draw(options.seed * 100_003 + evaluation, pool, count);
    return {
      technique: 's2',
      positive: conditional,
      negative: withoutLayers('options.guidance.s2', skipped, context),
      weights: weights.map((weight, index) => (index === evaluation ? weight : 0)),
    };
  });
  return { terms };
}
