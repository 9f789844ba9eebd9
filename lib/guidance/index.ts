/** Guidance techniques, one a file; this one lists them. */
import { type z } from 'zod';

import { either, list, strictObject } from '../options/vocabulary';

import { classifierFree, classifierFreeSchema } from './classifierFree';
import { detail, detailSchema } from './detail';
import { disrupt, disruptSchema } from './disrupt';
import type { Contribution, GuidanceContext } from './term';

export { conditional, edited, unconditional } from './term';
export type {
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
});

export type GuidanceOptions = z.output<typeof guidanceSchema>;
export type GuidanceInput = z.input<typeof guidanceSchema>;

/** What the chosen techniques add to the plan, in a fixed order. */
export function contributions(options: GuidanceOptions, context: GuidanceContext): Contribution[] {
  const found: Contribution[] = [];
  if (options.disrupt) found.push(disrupt(options.disrupt, context));
  if (options.classifierFree) found.push(classifierFree(options.classifierFree, context));
  if (options.detail) found.push(detail(options.detail, context));
  return found;
}
