/**
 * A control for Detail Guidance: away from a conditional branch that is blurred for real. After some block the hidden
 * state is smoothed over the token grid, which takes its fine structure without touching the massive activations
 * (they are nearly the same at every token).
 *
 *   D̂ = … + w (D(c) − D_blur(c))
 */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { either, finite, whole } from '../validation/vocabulary';

import { sigmaSchema } from './blurSigma';
import { recordedLayer } from './channels';
import { conditional, edited, type Contribution, type GuidanceContext } from './term';
import { windowed, techniqueSchema, type GuidanceWindow } from './window';

/** Away from a model whose hidden state is blurred after some block: the control for Detail Guidance. */
export interface BlurOptions extends GuidanceWindow {
  /** w, from 0 to 100. Default 0.3, that of Detail Guidance. */
  scale?: number;
  /** Block whose output is blurred, from 0. Default 'auto': the bundle's. LAYER_OUT_OF_RANGE; BAD_OPTION without one. */
  layer?: 'auto' | number;
  /** Standard deviation in tokens, 0.01 to 10 000, or Infinity for the mean. Default 1. */
  sigma?: number;
}

export const blurSchema = describedBy<BlurOptions>()(
  techniqueSchema({
    scale: finite(0, 100).default(0.3),
    layer: either([z.literal('auto'), whole(0)], "'auto' or a block index from 0").default('auto'),
    sigma: sigmaSchema.default(1),
  }),
);

export function blur(options: z.output<typeof blurSchema>, context: GuidanceContext): Contribution {
  const option = 'options.guidance.blur.layer';
  const layer = options.layer === 'auto' ? recordedLayer(option, context) : options.layer;
  const [rows, columns] = context.tokenGrid;
  const negative = edited(`blurred hidden state (layer ${layer}, sigma ${options.sigma})`, [
    {
      ...context.output(option, layer, 'image'),
      operation: 'blur',
      channels: null,
      tokens: null,
      sigma: options.sigma,
      grid: [rows, columns],
    },
  ]);
  const weights = windowed(options.scale, options, context);
  return { terms: [{ technique: 'blur', positive: conditional, negative, weights }] };
}
