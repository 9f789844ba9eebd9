/**
 * Heun's second-order method for variance-preserving models, Karras et al., arXiv 2206.00364, algorithm 1 without
 * churn, in their variables: x = x0 + σ ε, the model sees x / √(σ² + 1).
 *
 *   d(x, σ) = (x − x0) / σ,  x1 = x + (σ' − σ) d(x, σ),  x' = x + (σ' − σ) (d(x, σ) + d(x1, σ')) / 2
 *
 * d is linear, d = p x + q D, so x = (x1 − δ q D) / (1 + δ p) with δ = σ' − σ, which is how the second row is written
 * in terms of x1. Equals diffusers' HeunDiscreteScheduler.
 */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { choice, strictObject, whole } from '../validation/vocabulary';

import { betaOptions, interpolate, trainingSigmas, type BetaOptions } from './betas';
import { requirePrediction } from './prediction';
import { discreteTimesteps } from './spacing';
import type { Prediction, Schedule, ScheduleContext, ScheduleStep } from './step';
import type { OfKind } from '../validation/ofKind';

/** Heun in the noise level; two evaluations a step, one in the last. BAD_OPTION for a model that predicts flow. */
export interface HeunOptions extends BetaOptions, OfKind<'heun'> {
  /** Which training timesteps are visited. Default 'linspace', as in diffusers. */
  timestepSpacing?: 'linspace' | 'leading' | 'trailing';
  /** Added to every timestep with leading spacing, from 0 to 1000. Default 0. */
  stepsOffset?: number;
}

export const heunSchema = describedBy<HeunOptions>()(
  strictObject({
    kind: z.literal('heun'),
    ...betaOptions,
    timestepSpacing: choice(['linspace', 'leading', 'trailing']).default('linspace'),
    stepsOffset: whole(0, 1000).default(0),
  }),
);

/** The table of Heun; two evaluations a step, one in the last: 2 n − 1 in all. */
export function heun(
  options: z.output<typeof heunSchema>,
  { numInferenceSteps, prediction }: ScheduleContext,
): Schedule {
  requirePrediction(options.kind, prediction, ['epsilon', 'v', 'sample']);
  const { numTrainTimesteps, timestepSpacing, stepsOffset } = options;
  const table = trainingSigmas(options);
  const timesteps = discreteTimesteps(timestepSpacing, numTrainTimesteps, numInferenceSteps, {
    stepsOffset,
    round: false,
  });
  const sigmas = timesteps.map((timestep) => interpolate(table, timestep));
  const row = (step: number, at: number, sample: number, outputs: number[]): ScheduleStep => ({
    step,
    timestep: timesteps[at]!,
    time: timesteps[at]! / numTrainTimesteps,
    sigma: sigmas[at]!,
    inputScale: 1 / Math.sqrt(sigmas[at]! ** 2 + 1),
    sample,
    outputs,
    preview: data(prediction, sigmas[at]!),
    noise: 0,
  });
  const steps = sigmas.flatMap((sigma, step) => {
    const next = sigmas[step + 1];
    const change = (next ?? 0) - sigma;
    const [p, q] = slope(prediction, sigma);
    const euler = row(step, step, 1 + change * p, [change * q]);
    if (next === undefined) return [euler];
    const [p1, q1] = slope(prediction, next);
    // x' = (1 + δ p / 2) x + δ/2 (q D + p1 x1 + q1 D'), with x put in terms of x1 and D.
    const back = (1 + (change * p) / 2) / (1 + change * p);
    const sample = back + (change / 2) * p1;
    const earlier = (change / 2) * q - back * change * q;
    return [euler, row(step, step + 1, sample, [(change / 2) * q1, earlier])];
  });
  const largest = Math.max(...sigmas);
  return { initialScale: timestepSpacing === 'leading' ? Math.sqrt(largest ** 2 + 1) : largest, steps };
}

/** x0 = a x + b D in the variables x = x0 + σ ε. */
function data(prediction: Prediction, sigma: number): [number, number] {
  switch (prediction) {
    case 'v':
      return [1 / (sigma ** 2 + 1), -sigma / Math.sqrt(sigma ** 2 + 1)];
    case 'sample':
      return [0, 1];
    default:
      return [1, -sigma];
  }
}

function slope(prediction: Prediction, sigma: number): [number, number] {
  const [a, b] = data(prediction, sigma);
  return [(1 - a) / sigma, -b / sigma];
}
