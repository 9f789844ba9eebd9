/** What the multistep samplers on α and σ share, DPM-Solver++ and UniPC: options, noise levels, a step of the table. */
import { choice, finite, whole } from '../validation/vocabulary';

import { betaOptions, interpolate, trainingSigmas, type BetaOptions } from './betas';
import { dataPrediction } from './prediction';
import { discreteTimesteps } from './spacing';
import type { Prediction, ScheduleContext, ScheduleStep } from './step';

/** What DPM-Solver++ and UniPC have in common. */
export interface MultistepOptions extends BetaOptions {
  /** Which training timesteps are visited. Default 'linspace', as in diffusers. */
  timestepSpacing?: 'linspace' | 'leading' | 'trailing';
  /** Added to every timestep with leading spacing, from 0 to 1000. Default 0. */
  stepsOffset?: number;
  /** For a model that predicts flow: the shift of its noise levels, 0.001 to 1000. Default 1. */
  flowShift?: number;
  /** For a model that predicts flow: the timestep fed is σ · timestepScale. Default 1000. */
  timestepScale?: number;
}

export const multistepOptions = {
  ...betaOptions,
  timestepSpacing: choice(['linspace', 'leading', 'trailing']).default('linspace'),
  stepsOffset: whole(0, 1000).default(0),
  flowShift: finite(0.001, 1000).default(1),
  timestepScale: finite(0, 1_000_000).default(1000),
};

/** The options with their defaults filled in. */
export type MultistepSettings = Required<MultistepOptions>;

/** A noise level of a sampler that works on α and σ. */
export interface Level {
  alpha: number;
  /** Standard deviation of the noise in x = α x0 + σ ε. */
  sigma: number;
  timestep: number;
  time: number;
  /** Noise level as diffusers lists it: σ / α, or σ itself for flow. */
  listed: number;
}

/** What the model is given: of flow, cut to a whole number as diffusers does; a model that takes σ itself gets all of it. */
function modelTimestep({ timestep }: Level, prediction: Prediction, timestepScale: number): number {
  return prediction === 'flow' && timestepScale > 1 ? Math.trunc(timestep) : timestep;
}

/** A step from `level`: x' = sample · x + Σ outputs[k] · D_{−k}. */
export function multistepRow(
  step: number,
  level: Level,
  { sample, outputs }: Pick<ScheduleStep, 'sample' | 'outputs'>,
  { prediction }: ScheduleContext,
  timestepScale: number,
): ScheduleStep {
  return {
    step,
    timestep: modelTimestep(level, prediction, timestepScale),
    time: level.time,
    sigma: level.listed,
    inputScale: 1,
    sample,
    outputs,
    preview: dataPrediction(prediction, level.alpha, level.sigma),
    noise: 0,
  };
}

/** λ = log(α / σ). */
export function logSnr({ alpha, sigma }: Pick<Level, 'alpha' | 'sigma'>): number {
  return Math.log(alpha) - Math.log(sigma);
}

/** Of a variance-preserving model, without the final σ of 0. */
export function diffusionLevels(options: MultistepSettings, { numInferenceSteps }: ScheduleContext): Level[] {
  const { numTrainTimesteps, timestepSpacing, stepsOffset } = options;
  const table = trainingSigmas(options);
  const timesteps = discreteTimesteps(timestepSpacing, numTrainTimesteps, numInferenceSteps, {
    stepsOffset,
    intervals: numInferenceSteps + 1,
  });
  return timesteps.map((timestep) => {
    const listed = interpolate(table, timestep);
    const alpha = 1 / Math.sqrt(listed ** 2 + 1);
    return { alpha, sigma: listed * alpha, timestep, time: timestep / numTrainTimesteps, listed };
  });
}
