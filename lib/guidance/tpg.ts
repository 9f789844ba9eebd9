/**
 * Token perturbation guidance, Rajabi et al., arXiv 2506.10036: away from the model whose tokens change places inside
 * the network, which keeps every token's norm and destroys their arrangement.
 *
 *   D̂ = … + s (D(c) − D_shuffled(c))
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { finite, whole } from '../validation/vocabulary';

import { atRelativeDepth, chooseLayers, layersSchema, type Layers } from './layers';
import { conditional, edited, type Contribution, type GuidanceContext } from './term';
import { windowed, techniqueSchema, type GuidanceWindow } from './window';

/** Token perturbation guidance, arXiv 2506.10036. */
export interface TpgOptions extends GuidanceWindow {
  /** s, from 0 to 100. Default 3. */
  scale?: number;
  /** Blocks after which the image tokens are shuffled. Default: 13 of 24, or the same relative depth. LAYER_OUT_OF_RANGE. */
  layers?: Layers;
  /** Draws the permutation; a whole number from 0. Default 0. */
  seed?: number;
}

export const tpgSchema = describedBy<TpgOptions>()(
  techniqueSchema({
    scale: finite(0, 100).default(3),
    layers: layersSchema.optional(),
    seed: whole(0).default(0),
  }),
);

export function tpg(options: z.output<typeof tpgSchema>, context: GuidanceContext): Contribution {
  const layers = options.layers === undefined ? atRelativeDepth([13], 24, context) : chooseLayers(options.layers);
  const edits = layers.map((layer) => ({
    ...context.output('options.guidance.tpg.layers', layer, 'image'),
    operation: 'shuffle' as const,
    channels: null,
    tokens: null,
    seed: options.seed + layer,
  }));
  const negative = edited(`shuffled tokens (layer ${layers.join(', ')})`, edits);
  const weights = windowed(options.scale, options, context);
  return { terms: [{ technique: 'tpg', positive: conditional, negative, weights }] };
}
