/** Guidance techniques, one a file; this one lists them. */
import { invalid } from '../validation/invalid';

import { apg } from './apg';
import { blur } from './blur';
import { branches } from './branches';
import { cfgZeroStar } from './cfgZeroStar';
import { classifierFree } from './classifierFree';
import { detail } from './detail';
import { disrupt } from './disrupt';
import { pag } from './pag';
import type { GuidanceRequest } from './options';
import { rescale } from './rescale';
import { s2 } from './s2';
import { seg } from './seg';
import { slg } from './slg';
import { tpg } from './tpg';
import type { Contribution, GuidanceContext } from './term';

export type { ApgOptions } from './apg';
export type { BlurOptions } from './blur';
export type { BranchOptions } from './branches';
export { GuidanceBuilder } from './builder';
export type { CfgZeroStarOptions } from './cfgZeroStar';
export type { Channels } from './channels';
export type { ClassifierFreeOptions } from './classifierFree';
export type { Control, MatchedChannels, RandomTokens } from './control';
export type { DetailOptions } from './detail';
export type { DisruptionOptions } from './disruption';
export type { DisruptOptions } from './disrupt';
export {
  checkPlace,
  editSchema,
  placeOptions,
  resolveEdit,
  sitesOf,
  taps,
  type AffineEdit,
  type BlurEdit,
  type Edit,
  type Place,
  type EditTarget,
  type IdentityEdit,
  type MatchEdit,
  type MeanEdit,
  type RetainEdit,
  type ShuffleEdit,
  type SkipEdit,
  type TransplantEdit,
  type ZeroEdit,
} from './edit';
export type { Layers } from './layers';
export { operationNames, type Operation } from './operations';
export { guidanceSchema, type EmbeddedOptions, type GuidanceOptions, type GuidanceRequest } from './options';
export type { PagOptions } from './pag';
export type { RescaleOptions } from './rescale';
export type { Retention, RetentionCurve, RetentionTable } from './retention';
export type { ReuseOptions, ThresholdReuse } from './reuse';
export type { S2Options } from './s2';
export type { SegOptions } from './seg';
export type { SlgOptions } from './slg';
export type { Tokens } from './tokens';
export type { TpgOptions } from './tpg';
export type { GuidanceWindow } from './window';
export { fastReuse, preset, presetNames, type PresetName } from './presets';
export { conditional, edited, unconditional } from './term';
export type {
  AdaptiveReuse,
  Adjustment,
  Branch,
  Conditioning,
  Contribution,
  EditContext,
  Evaluation,
  GuidanceContext,
  GuidanceTerm,
  SiteReference,
} from './term';

/**
 * What the chosen techniques add to the plan, in a fixed order.
 *
 * @throws BAD_OPTION for techniques that do not go together
 */
export function contributions(options: GuidanceRequest, context: GuidanceContext): Contribution[] {
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
}: GuidanceRequest): void {
  const changes = Object.entries({ apg: projected, cfgZeroStar: zero }).filter(([, value]) => value !== undefined);
  const [change] = changes[0] ?? [];
  if (change !== undefined && !cfg)
    throw invalid('options.guidance', 'classifierFree', undefined, { note: `${change} changes it` });
  if (changes.length > 1) throw invalid('options.guidance', 'one change of classifierFree', changes);
  const reference = change ?? (factor ? 'rescale' : undefined);
  if (disrupted && reference !== undefined) {
    throw invalid('options.guidance', `disrupt or ${reference}`, undefined, {
      shown: 'both',
      note: `${reference} needs the conditional prediction, which disrupt replaces`,
    });
  }
}
