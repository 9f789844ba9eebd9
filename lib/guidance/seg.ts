/**
 * Smoothed energy guidance, Hong, arXiv 2408.00760: away from the model whose attention queries, in some block, are
 * blurred over the token grid; with σ → ∞ they are their mean.
 *
 *   D̂ = … + s (D(c) − D_blurred(c))
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { finite } from '../validation/vocabulary';

import { sigmaSchema } from './blurSigma';
import { atRelativeDepth, chooseLayers, layersSchema, type Layers } from './layers';
import { conditional, edited, type Contribution, type GuidanceContext } from './term';
import { imagePart } from './tokens';
import { windowed, techniqueSchema, type GuidanceWindow } from './window';

/** Smoothed energy guidance, arXiv 2408.00760. */
export interface SegOptions extends GuidanceWindow {
  /** s, from 0 to 100. Default 3. */
  scale?: number;
  /** Standard deviation of the blur in tokens, 0.01 to 10 000, or Infinity for the mean. Default Infinity. */
  sigma?: number;
  /** Blocks whose queries are blurred. Default: 13 of 24, or the same relative depth. LAYER_OUT_OF_RANGE, SITE_NOT_FOUND. */
  layers?: Layers;
}

export const segSchema = describedBy<SegOptions>()(
  techniqueSchema({
    scale: finite(0, 100).default(3),
    sigma: sigmaSchema.default(Infinity),
    layers: layersSchema.optional(),
  }),
);

export function seg(options: z.output<typeof segSchema>, context: GuidanceContext): Contribution {
  const layers = options.layers === undefined ? atRelativeDepth([13], 24, context) : chooseLayers(options.layers);
  const [rows, columns] = context.tokenGrid;
  const edits = layers.flatMap((layer) =>
    context.attentions('options.guidance.seg.layers', layer).map((site) => ({
      ...site,
      operation: 'blur' as const,
      channels: null,
      // The text's queries stay as they are.
      ...imagePart(null, context),
      sigma: options.sigma,
      grid: [rows, columns] as [number, number],
    })),
  );
  const negative = edited(`blurred queries (layer ${layers.join(', ')}, sigma ${options.sigma})`, edits);
  const weights = windowed(options.scale, options, context);
  return { terms: [{ technique: 'seg', positive: conditional, negative, weights }] };
}
