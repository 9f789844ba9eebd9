/** The part of `bundle.json` that says how latents and pixels become each other. */
import { z } from 'zod';

import { gives } from '../validation/describedBy';

import { closed, componentSchema, count } from './schemaWords';
import type { VaeManifest } from './manifest';

export const vaeSchema = gives<VaeManifest>()(
  closed({
    decoder: componentSchema,
    encoder: componentSchema.optional(),
    scale: count,
    scalingFactor: z.number().positive().default(1),
    shiftFactor: z.number().default(0),
    mean: z.array(z.number()).optional(),
    std: z.array(z.number().positive()).optional(),
    frameScale: count.optional(),
    tileSize: count.default(512),
  }),
);
