/**
 * ρ_t, the share of a massive activation that a disruption leaves: z̃_i = ρ_t · z_i. Detail Guidance has ρ = 0;
 * its follow-up (Gan et al., arXiv 2607.02968) lets ρ depend on the timestep without giving the schedule, so the
 * usual shapes are offered.
 */
import { z } from 'zod';

import { DetailGuidanceError } from '../validation/errors';
import { either, finite, list, strictObject } from '../validation/vocabulary';

import type { GuidanceContext } from './term';

const share = finite(-10, 10);
const time = finite(0, 1);

/** A constant, or a function of the position t between data (0) and noise (1). */
export const retentionSchema = either(
  [
    share,
    /** ρ goes from `data` at t = 0 to `noise` at t = 1: in a straight line, or along half a cosine. */
    strictObject({ kind: z.enum(['linear', 'cosine']), data: share, noise: share }),
    /** ρ at some t, in ascending order; straight lines between them, constant beyond. */
    strictObject({
      kind: z.literal('table'),
      times: list(time, 'a list of numbers from 0 to 1'),
      values: list(share, 'a list of numbers'),
    }),
  ],
  "a number from -10 to 10, { kind: 'linear' | 'cosine', data, noise } or { kind: 'table', times, values }",
);

export type Retention = z.output<typeof retentionSchema>;

/**
 * ρ for each evaluation of the schedule.
 *
 * @throws BAD_OPTION when a table's times and values do not pair up or are not in ascending order
 */
export function retentionPerEvaluation(option: string, retention: Retention, context: GuidanceContext): number[] {
  const times = context.evaluations.map((evaluation) => evaluation.time);
  if (typeof retention === 'number') return times.map(() => retention);
  if (retention.kind === 'table') {
    checkTable(option, retention);
    return times.map((at) => lookUp(retention.times, retention.values, at));
  }
  const { kind, data, noise } = retention;
  return times.map((at) => {
    const progress = kind === 'linear' ? at : (1 - Math.cos(Math.PI * at)) / 2;
    return data + (noise - data) * progress;
  });
}

function checkTable(option: string, { times, values }: { times: number[]; values: number[] }): void {
  const expected = 'as many values as times, the times in ascending order';
  const ascending = times.every((at, index) => index === 0 || at > times[index - 1]!);
  if (times.length === values.length && ascending) return;
  throw new DetailGuidanceError(
    'BAD_OPTION',
    `${option} is a table of ${times.length} times${ascending ? '' : ' out of order'} and ${values.length} values; ${expected} would be right.`,
    { found: { times, values }, expected },
  );
}

function lookUp(times: number[], values: number[], at: number): number {
  const above = times.findIndex((time) => time >= at);
  if (above === -1) return values.at(-1)!;
  if (above === 0) return values[0]!;
  const share = (at - times[above - 1]!) / (times[above]! - times[above - 1]!);
  return values[above - 1]! + share * (values[above]! - values[above - 1]!);
}
