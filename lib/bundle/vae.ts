/** The part of `bundle.json` that says how latents and pixels become each other. */
import { z } from 'zod';

import { closed, componentSchema, count } from './closed';

export const vaeSchema = closed({
  /** Latents [batch, C, h, w] → pixels [batch, 3, h · scale, w · scale]; of video [batch, C, F, h, w] → [batch, 3, frames, …]. */
  decoder: componentSchema,
  /** Pixels [batch, 3, H, W] in the range of the image → mean and log variance [batch, 2 C, h, w]. */
  encoder: componentSchema.optional(),
  /** Pixels along one side of a latent cell. */
  scale: count,
  /** The decoder is given z / scalingFactor + shiftFactor. Default 1. */
  scalingFactor: z.number().positive().default(1),
  /** Default 0. */
  shiftFactor: z.number().default(0),
  /** In place of the two factors: the decoder is given z · std + mean, per channel. */
  mean: z.array(z.number()).optional(),
  std: z.array(z.number().positive()).optional(),
  /** Frames of a video for each latent frame after the first. */
  frameScale: count.optional(),
  /** Side in pixels of the tiles in which large pictures are decoded; neighbours overlap by a quarter. Default 512. */
  tileSize: count.default(512),
});

export type VaeManifest = z.output<typeof vaeSchema>;
