/** The `guidance` option: all techniques by name. */
import type { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { either, finite, list, strictObject } from '../validation/vocabulary';

import { apgSchema, type ApgOptions } from './apg';
import { blurSchema, type BlurOptions } from './blur';
import { branchesSchema, type BranchOptions } from './branches';
import { cfgZeroStarSchema, type CfgZeroStarOptions } from './cfgZeroStar';
import { classifierFreeSchema, type ClassifierFreeOptions } from './classifierFree';
import { detailSchema, type DetailOptions } from './detail';
import { disruptSchema, type DisruptOptions } from './disrupt';
import { pagSchema, type PagOptions } from './pag';
import { rescaleSchema, type RescaleOptions } from './rescale';
import { s2Schema, type S2Options } from './s2';
import { segSchema, type SegOptions } from './seg';
import { slgSchema, type SlgOptions } from './slg';
import { tpgSchema, type TpgOptions } from './tpg';

/** Guidance that the model takes as an input, as FLUX.1 does. BAD_OPTION for other models. */
export interface EmbeddedOptions {
  /** As diffusers' `guidance_scale` of such a model, from 0 to 100. Default 3.5. */
  scale?: number;
}

/** The `guidance` option: techniques together, each with its published defaults. `{}` is the conditional prediction alone. */
export interface GuidanceOptions {
  /** Classifier-free guidance. */
  classifierFree?: ClassifierFreeOptions;
  /** For models that take their guidance as an input (FLUX.1): its scale, beside true classifier-free guidance. */
  embedded?: EmbeddedOptions;
  /** Detail Guidance; a list for several degraded branches. */
  detail?: DetailOptions | DetailOptions[];
  /** The detail-deficient model in place of the conditional prediction. BAD_OPTION with apg, cfgZeroStar or rescale. */
  disrupt?: DisruptOptions;
  /** Skip layer guidance. */
  slg?: SlgOptions;
  /** Perturbed attention guidance. */
  pag?: PagOptions;
  /** Smoothed energy guidance. */
  seg?: SegOptions;
  /** Token perturbation guidance. */
  tpg?: TpgOptions;
  /** S²-Guidance. */
  s2?: S2Options;
  /** Away from a blurred hidden state, the control for Detail Guidance. */
  blur?: BlurOptions;
  /** Adaptive projected guidance: changes classifierFree. BAD_OPTION without it, or with cfgZeroStar. */
  apg?: ApgOptions;
  /** CFG-Zero*: changes classifierFree. BAD_OPTION without it, or with apg. */
  cfgZeroStar?: CfgZeroStarOptions;
  /** Guidance rescale: changes the sum. */
  rescale?: RescaleOptions;
  /** Branches of one's own in place of the conditional prediction. BAD_OPTION unless the weights add up to 1 in every step. */
  branches?: BranchOptions[];
}

const embeddedSchema = describedBy<EmbeddedOptions>()(strictObject({ scale: finite(0, 100).default(3.5) }));

export const guidanceSchema = describedBy<GuidanceOptions>()(
  strictObject({
    classifierFree: classifierFreeSchema.optional(),
    embedded: embeddedSchema.optional(),
    detail: either(
      [detailSchema, list(detailSchema, 'a list of objects')],
      'an object of options for Detail Guidance, or a list of them',
    ).optional(),
    disrupt: disruptSchema.optional(),
    slg: slgSchema.optional(),
    pag: pagSchema.optional(),
    seg: segSchema.optional(),
    tpg: tpgSchema.optional(),
    s2: s2Schema.optional(),
    blur: blurSchema.optional(),
    apg: apgSchema.optional(),
    cfgZeroStar: cfgZeroStarSchema.optional(),
    rescale: rescaleSchema.optional(),
    branches: branchesSchema.optional(),
  }),
);

/** Guidance with all defaults filled in, which is guidance that a caller may write too. */
export type GuidanceRequest = z.output<typeof guidanceSchema>;
