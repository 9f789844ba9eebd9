/**
 * A control for Detail Guidance: away from a conditional branch that is blurred for real. After some block the hidden
 * state is smoothed over the token grid, which takes its fine structure without touching the massive activations
 * (they are nearly the same at every token).
 *
 *   D̂ = … + w (D(c) − D_blur(c))
 */
import { z } from 'zod';

import { either, finite, strictObject, whole } from '../validation/vocabulary';

import { recordedLayer } from './channels';
import { conditional, edited, type Contribution, type GuidanceContext } from './term';
import { windowed, windowOptions } from './window';

export const blurSchema = strictObject({
  /** w, from 0 to 100. Default 0.3, that of Detail Guidance. */
  scale: finite(0, 100).default(0.3),
  /** 0-based block whose output is blurred. Default: the one that the bundle records for its massive activations. */
  layer: either([z.literal('auto'), whole(0)], "'auto' or a block index from 0").default('auto'),
  /** Standard deviation in tokens. Default 1. */
  sigma: either([finite(0.01, 10_000), z.literal(Infinity)], 'a number from 0.01 to 10000, or Infinity,').default(1),
  ...windowOptions,
});
export type BlurOptions = z.output<typeof blurSchema>;

export function blur(options: BlurOptions, context: GuidanceContext): Contribution {
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
