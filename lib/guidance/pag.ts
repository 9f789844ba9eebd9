/**
 * Perturbed attention guidance, Ahn et al., arXiv 2403.17377: away from the model whose self-attention map, in some
 * block, is the identity, so that every token attends to itself alone.
 *
 *   D̂ = … + s (D(c) − D_identity(c))
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { finite } from '../validation/vocabulary';

import { atRelativeDepth, chooseLayers, layersSchema, type Layers } from './layers';
import { conditional, edited, type Contribution, type GuidanceContext } from './term';
import { imagePart } from './tokens';
import { windowed, techniqueSchema, type GuidanceWindow } from './window';

/** Perturbed attention guidance, arXiv 2403.17377. */
export interface PagOptions extends GuidanceWindow {
  /** s, from 0 to 100. Default 3. */
  scale?: number;
  /** Blocks whose attention is perturbed. Default: 13 of 24 (diffusers, SD3), or that depth. LAYER_OUT_OF_RANGE, SITE_NOT_FOUND. */
  layers?: Layers;
}

export const pagSchema = describedBy<PagOptions>()(
  techniqueSchema({ scale: finite(0, 100).default(3), layers: layersSchema.optional() }),
);

export function pag(options: z.output<typeof pagSchema>, context: GuidanceContext): Contribution {
  const layers = options.layers === undefined ? atRelativeDepth([13], 24, context) : chooseLayers(options.layers);
  const edits = layers.flatMap((layer) =>
    context.attentions('options.guidance.pag.layers', layer).map((site) => ({
      ...site,
      operation: 'identity' as const,
      channels: null,
      // The text's attention stays as it is, as in diffusers' PAGJointAttnProcessor2_0.
      ...imagePart(null, context),
    })),
  );
  const negative = edited(`identity attention (layer ${layers.join(', ')})`, edits);
  const weights = windowed(options.scale, options, context);
  return { terms: [{ technique: 'pag', positive: conditional, negative, weights }] };
}
