/**
 * ρ_t, the share of a massive activation that a disruption leaves: z̃_i = ρ_t · z_i. Detail Guidance has ρ = 0;
 * its follow-up (Gan et al., arXiv 2607.02968) lets ρ depend on the timestep without giving the schedule, so the
 * usual shapes are offered.
 */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { invalid } from '../validation/invalid';
import { either, finite, list, strictObject } from '../validation/vocabulary';

import type { Evaluation } from './term';
import type { OfKind } from '../validation/ofKind';

const share = finite(-10, 10);
const time = finite(0, 1);

/** ρ from `data` at t = 0 to `noise` at t = 1. */
export interface RetentionCurve {
  /** In a straight line, or along half a cosine. */
  kind: 'linear' | 'cosine';
  /** ρ at the data, t = 0; −10 to 10. */
  data: number;
  /** ρ at the noise, t = 1; −10 to 10. */
  noise: number;
}

/** ρ at some times; straight lines between them, constant beyond. */
export interface RetentionTable extends OfKind<'table'> {
  /** Times t from 0 (data) to 1 (noise), in ascending order. */
  times: number[];
  /** ρ at each of them, −10 to 10. BAD_OPTION unless there are as many as times. */
  values: number[];
}

/** ρ, what is left of a value: a number from −10 to 10, or a function of the position t between data (0) and noise (1). */
export type Retention = number | RetentionCurve | RetentionTable;

export const retentionSchema = describedBy<Retention>()(
  either(
    [
      share,
      strictObject({ kind: z.enum(['linear', 'cosine']), data: share, noise: share }),
      strictObject({
        kind: z.literal('table'),
        times: list(time, 'a list of numbers from 0 to 1'),
        values: list(share, 'a list of numbers'),
      }),
    ],
    "a number from -10 to 10, { kind: 'linear' | 'cosine', data, noise } or { kind: 'table', times, values }",
  ),
);

/**
 * ρ for each evaluation of the schedule.
 *
 * @param evaluations null for a single run of the model, at which no time is known
 * @throws BAD_OPTION when a table's times and values do not pair up or are not in ascending order; for a schedule in a
 *   single run
 */
export function retentionPerEvaluation(
  option: string,
  retention: Retention,
  evaluations: readonly Evaluation[] | null,
): number[] {
  if (!evaluations) {
    if (typeof retention === 'number') return [retention];
    throw invalid(option, 'a number', retention, {
      shown: 'a schedule over the time',
      note: 'a single run of the model has no time',
    });
  }
  const times = evaluations.map((evaluation) => evaluation.time);
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
  const ascending = times.every((at, index) => index === 0 || at > times[index - 1]!);
  if (times.length === values.length && ascending) return;
  throw invalid(
    option,
    'as many values as times, the times in ascending order',
    { times, values },
    {
      shown: `${times.length} times${ascending ? '' : ' out of order'} and ${values.length} values`,
    },
  );
}

function lookUp(times: number[], values: number[], at: number): number {
  const above = times.findIndex((time) => time >= at);
  if (above === -1) return values.at(-1)!;
  if (above === 0) return values[0]!;
  const share = (at - times[above - 1]!) / (times[above]! - times[above - 1]!);
  return values[above - 1]! + share * (values[above]! - values[above - 1]!);
}
