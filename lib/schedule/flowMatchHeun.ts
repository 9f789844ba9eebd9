/**
 * Heun's second-order method along the flow: an Euler step, then the mean of the slopes at both ends.
 *
 *   x1 = x + (σ' − σ) D,  x' = x + (σ' − σ) (D + D') / 2  with D' taken at x1, σ'
 *
 * The last step, to σ = 0, is Euler's: n steps take 2 n − 1 evaluations. The second row is written in terms of x1,
 * since x = x1 − (σ' − σ) D. Equals diffusers' FlowMatchHeunDiscreteScheduler.
 */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { strictObject } from '../validation/vocabulary';

import { flowOptions, flowRow, flowSigmas, type FlowOptions } from './flow';
import { requirePrediction } from './prediction';
import type { Schedule, ScheduleContext } from './step';
import type { OfKind } from '../validation/ofKind';

/** Heun steps along the flow; two evaluations a step, one in the last. BAD_OPTION for a model that does not predict flow. */
export interface FlowMatchHeunOptions extends FlowOptions, OfKind<'flow-match-heun'> {}

export const flowMatchHeunSchema = describedBy<FlowMatchHeunOptions>()(
  strictObject({ kind: z.literal('flow-match-heun'), ...flowOptions }),
);

/** The table of flow-matching Heun; two evaluations a step, one in the last. */
export function flowMatchHeun(options: z.output<typeof flowMatchHeunSchema>, context: ScheduleContext): Schedule {
  requirePrediction(options.kind, context.prediction, ['flow']);
  const sigmas = flowSigmas(options, context);
  const row = (step: number, sigma: number, outputs: number[]) => flowRow(step, sigma, outputs, options.timestepScale);
  return {
    initialScale: 1,
    steps: sigmas.flatMap((sigma, step) => {
      const next = sigmas[step + 1];
      if (next === undefined) return [row(step, sigma, [-sigma])];
      const change = next - sigma;
      return [row(step, sigma, [change]), row(step, next, [change / 2, -change / 2])];
    }),
  };
}
