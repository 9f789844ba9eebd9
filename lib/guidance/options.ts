/** The `guidance` option: all techniques by name. */
import { type z } from 'zod';

import { either, finite, list, strictObject } from '../validation/vocabulary';

import { apgSchema } from './apg';
import { blurSchema } from './blur';
import { branchesSchema } from './branches';
import { cfgZeroStarSchema } from './cfgZeroStar';
import { classifierFreeSchema } from './classifierFree';
import { detailSchema } from './detail';
import { disruptSchema } from './disrupt';
import { pagSchema } from './pag';
import { rescaleSchema } from './rescale';
import { s2Schema } from './s2';
import { segSchema } from './seg';
import { slgSchema } from './slg';
import { tpgSchema } from './tpg';

const embeddedSchema = strictObject({
  /** As diffusers' `guidance_scale` of such a model, from 0 to 100. Default 3.5. */
  scale: finite(0, 100).default(3.5),
});

/** The `guidance` option: any of the techniques together. An empty object is the conditional prediction alone. */
export const guidanceSchema = strictObject({
  /** Classifier-free guidance. */
  classifierFree: classifierFreeSchema.optional(),
  /** For models that take their guidance as an input (Flux): its scale, beside true classifier-free guidance. */
  embedded: embeddedSchema.optional(),
  /** Detail Guidance; a list for several degraded branches. */
  detail: either(
    [detailSchema, list(detailSchema, 'a list of objects')],
    'an object of options for Detail Guidance, or a list of them,',
  ).optional(),
  /** The detail-deficient model in place of the conditional prediction. */
  disrupt: disruptSchema.optional(),
  /** Skip layer guidance. */
  slg: slgSchema.optional(),
  /** Perturbed attention guidance. */
  pag: pagSchema.optional(),
  /** Smoothed energy guidance. */
  seg: segSchema.optional(),
  /** Token perturbation guidance. */
  tpg: tpgSchema.optional(),
  /** S²-Guidance. */
  s2: s2Schema.optional(),
  /** Away from a blurred hidden state, the control. */
  blur: blurSchema.optional(),
  /** Adaptive projected guidance: changes classifierFree. */
  apg: apgSchema.optional(),
  /** CFG-Zero*: changes classifierFree. */
  cfgZeroStar: cfgZeroStarSchema.optional(),
  /** Guidance rescale: changes the sum. */
  rescale: rescaleSchema.optional(),
  /** Branches and weights of one's own in place of the conditional prediction. */
  branches: branchesSchema.optional(),
});

export type GuidanceOptions = z.output<typeof guidanceSchema>;
export type GuidanceInput = z.input<typeof guidanceSchema>;
