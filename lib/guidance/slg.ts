/**
 * Skip layer guidance, as Stability AI released it with Stable Diffusion 3.5 Medium (first-party: the model card and
 * sd3-ref): away from the model without some of its middle blocks, early in the sampling.
 *
 *   D̂ = … + s (D(c) − D_skip(c))
 */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { finite } from '../validation/vocabulary';

import { atRelativeDepth, chooseLayers, layersSchema, type Layers } from './layers';
import { conditional, edited, type Branch, type Contribution, type GuidanceContext } from './term';
import { techniqueSchema, windowed, type GuidanceWindow } from './window';

/** Blocks of Stable Diffusion 3.5 Medium, of which 7, 8 and 9 are skipped. */
const publishedDepth = 24;

/** Skip layer guidance, as Stability AI released it with Stable Diffusion 3.5 Medium. */
export interface SlgOptions extends GuidanceWindow {
  /** s, from 0 to 100. Default 2.5. */
  scale?: number;
  /** Blocks that are skipped. Default: 7, 8, 9 of 24, or those at the same relative depth. LAYER_OUT_OF_RANGE. */
  layers?: Layers;
  /** Fraction of the steps after which it is on: step i of n is inside when start < i / n < stop. Default 0.01. */
  start?: number;
  /** Fraction of the steps from which it is off again. Default 0.2. */
  stop?: number;
}

export const slgSchema = describedBy<SlgOptions>()(
  techniqueSchema({
    scale: finite(0, 100).default(2.5),
    layers: layersSchema.optional(),
    start: finite(0, 1).default(0.01),
    stop: finite(0, 1).default(0.2),
  }),
);

export function slg(options: z.output<typeof slgSchema>, context: GuidanceContext): Contribution {
  const layers =
    options.layers === undefined ? atRelativeDepth([7, 8, 9], publishedDepth, context) : chooseLayers(options.layers);
  const negative = withoutLayers('options.guidance.slg.layers', layers, context);
  // As in sd3-ref and diffusers, the step at `start` itself is not in the window: i > n · start.
  const weights = windowed(options.scale, options, context).map((weight, index) =>
    context.evaluations[index]!.fraction > options.start ? weight : 0,
  );
  return { terms: [{ technique: 'slg', positive: conditional, negative, weights }] };
}

/** The conditional prediction of the model without some blocks: each puts out what it was given, in every stream. */
export function withoutLayers(option: string, layers: readonly number[], context: GuidanceContext): Branch {
  const edits = layers.flatMap((layer) =>
    context
      .everyStream(option, layer)
      .map((site) => ({ ...site, operation: 'skip' as const, channels: null, tokens: null })),
  );
  return edited(`without layer ${layers.join(', ')}`, edits);
}
