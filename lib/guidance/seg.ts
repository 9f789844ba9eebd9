/**
 * Smoothed energy guidance, Hong, arXiv 2408.00760: away from the model whose attention queries, in some block, are
 * blurred over the token grid; with σ → ∞ they are their mean.
 *
 *   D̂ = … + s (D(c) − D_blurred(c))
 */
import { z } from 'zod';

import { either, finite, strictObject } from '../validation/vocabulary';

import { atRelativeDepth, chooseLayers, layersSchema } from './layers';
import { conditional, edited, type Contribution, type GuidanceContext } from './term';
import { imagePart } from './tokens';
import { windowed, windowOptions } from './window';

export const segSchema = strictObject({
  /** s, from 0 to 100. Default 3. */
  scale: finite(0, 100).default(3),
  /** Standard deviation of the blur in tokens; Infinity is the mean. Default Infinity. */
  sigma: either([finite(0.01, 10_000), z.literal(Infinity)], 'a number from 0.01 to 10000, or Infinity,').default(
    Infinity,
  ),
  /** Blocks whose queries are blurred. Default: 13 of 24, or the same relative depth. */
  layers: layersSchema.optional(),
  ...windowOptions,
});
export type SegOptions = z.output<typeof segSchema>;

export function seg(options: SegOptions, context: GuidanceContext): Contribution {
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
