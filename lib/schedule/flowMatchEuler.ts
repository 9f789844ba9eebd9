/**
 * Euler steps along the flow from noise (σ = 1) to data (σ = 0), with the timestep shift of Stable Diffusion 3
 * (Esser et al., arXiv 2403.03206, section 5.3.2) or the resolution-dependent one of Flux.
 *
 *   x_σ = (1 − σ) x0 + σ ε,  D = dx/dσ,  x' = x + (σ' − σ) D
 *
 * Equals diffusers' FlowMatchEulerDiscreteScheduler.
 */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { strictObject } from '../validation/vocabulary';

import { flowOptions, flowRow, flowSigmas, type FlowOptions } from './flow';
import { requirePrediction } from './prediction';
import type { Schedule, ScheduleContext } from './step';
import type { OfKind } from '../validation/ofKind';

/** Euler steps along the flow; one evaluation a step. BAD_OPTION for a model that does not predict flow. */
export interface FlowMatchEulerOptions extends FlowOptions, OfKind<'flow-match-euler'> {}

export const flowMatchEulerSchema = describedBy<FlowMatchEulerOptions>()(
  strictObject({ kind: z.literal('flow-match-euler'), ...flowOptions }),
);

/** The table of flow-matching Euler; one evaluation a step. */
export function flowMatchEuler(options: z.output<typeof flowMatchEulerSchema>, context: ScheduleContext): Schedule {
  requirePrediction(options.kind, context.prediction, ['flow']);
  const sigmas = flowSigmas(options, context);
  return {
    initialScale: 1,
    steps: sigmas.map((sigma, step) => {
      const change = (sigmas[step + 1] ?? 0) - sigma;
      return flowRow(step, sigma, [change], options.timestepScale);
    }),
  };
}
