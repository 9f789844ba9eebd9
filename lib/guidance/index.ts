/** Guidance techniques, one a file; this one lists them. */
import { type z } from 'zod';

import { DetailGuidanceError } from '../errors';
import { either, list, strictObject } from '../options/vocabulary';

import { apg, apgSchema } from './apg';
import { blur, blurSchema } from './blur';
import { branches, branchesSchema } from './branches';
import { cfgZeroStar, cfgZeroStarSchema } from './cfgZeroStar';
import { classifierFree, classifierFreeSchema } from './classifierFree';
import { detail, detailSchema } from './detail';
import { disrupt, disruptSchema } from './disrupt';
import { pag, pagSchema } from './pag';
import { rescale, rescaleSchema } from './rescale';
import { s2, s2Schema } from './s2';
import { seg, segSchema } from './seg';
import { slg, slgSchema } from './slg';
import { tpg, tpgSchema } from './tpg';
import type { Contribution, GuidanceContext } from './term';

export { GuidanceBuilder, type Window } from './builder';
export { editSchema, operations, resolveEdit, type EditOptions } from './edit';
export { preset, presetNames, type PresetName } from './presets';
export { conditional, edited, unconditional } from './term';
export type {
  AdaptiveReuse,
  Adjustment,
  Branch,
  Conditioning,
  Contribution,
  Evaluation,
  GuidanceContext,
  GuidanceTerm,
  SiteReference,
} from './term';

/** The `guidance` option: any of the techniques together. An empty object is the conditional prediction alone. */
export const guidanceSchema = strictObject({
  /** Classifier-free guidance. */
  classifierFree: classifierFreeSchema.optional(),
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

/**
 * What the chosen techniques add to the plan, in a fixed order.
 *
 * @throws BAD_OPTION for techniques that do not go together
 */
export function contributions(options: GuidanceOptions, context: GuidanceContext): Contribution[] {
  checkCombination(options);
  const { disrupt: disrupted, classifierFree: cfg } = options;
  return [
    disrupted && disrupt(disrupted, context),
    cfg && classifierFree(cfg, context),
    options.detail && detail(options.detail, context),
    options.slg && slg(options.slg, context),
    options.pag && pag(options.pag, context),
    options.seg && seg(options.seg, context),
    options.tpg && tpg(options.tpg, context),
    options.s2 && s2(options.s2, context),
    options.blur && blur(options.blur, context),
    options.apg && apg(options.apg, context),
    options.cfgZeroStar && cfgZeroStar(options.cfgZeroStar, context),
    options.rescale && rescale(options.rescale, context),
    options.branches && branches(options.branches, context),
  ].filter((contribution) => contribution !== undefined);
}

function checkCombination({
  classifierFree: cfg,
  disrupt: disrupted,
  apg: projected,
  cfgZeroStar: zero,
  rescale: factor,
}: GuidanceOptions): void {
  const changes = Object.entries({ apg: projected, cfgZeroStar: zero }).filter(([, value]) => value !== undefined);
  const [change] = changes[0] ?? [];
  if (change !== undefined && !cfg) throw conflict(`${change} changes classifierFree, which is not given`, 'both');
  if (changes.length > 1) throw conflict('apg and cfgZeroStar both change classifierFree', 'one of them');
  const reference = change ?? (factor ? 'rescale' : undefined);
  if (disrupted && reference !== undefined) {
    throw conflict(`${reference} needs the conditional prediction, which disrupt replaces`, 'one of them');
  }
}

function conflict(problem: string, expected: string): DetailGuidanceError {
  return new DetailGuidanceError(
    'BAD_OPTION',
    `options.guidance does not go together: ${problem}; ${expected} would be right.`,
    {
      found: problem,
      expected,
    },
  );
}
