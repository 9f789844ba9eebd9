/**
 * DDIM, Song et al., arXiv 2010.02502, equations 12 and 16:
 *
 *   x' = √ᾱ' x0 + √(1 − ᾱ' − σ_η²) ε_θ + σ_η ε,   σ_η = η √((1 − ᾱ') / (1 − ᾱ)) √(1 − ᾱ / ᾱ')
 *
 * Equals diffusers' DDIMScheduler with clip_sample=False (clipping is not linear).
 */
import { z } from 'zod';

import { choice, finite, flag, strictObject, whole } from '../validation/vocabulary';

import { alphasCumprod, betaOptions } from './betas';
import { dataPrediction, requirePrediction } from './prediction';
import { discreteTimesteps } from './spacing';
import type { Schedule, ScheduleContext } from './step';

export const ddimSchema = strictObject({
  kind: z.literal('ddim'),
  ...betaOptions,
  /** 0 is deterministic DDIM, 1 is DDPM. Default 0. */
  eta: finite(0, 1).default(0),
  /** Which training timesteps are visited. Default leading, as in diffusers. */
  timestepSpacing: choice(['linspace', 'leading', 'trailing']).default('leading'),
  /** Added to every timestep with leading spacing. Default 0. */
  stepsOffset: whole(0, 1000).default(0),
  /** ᾱ after the last step is 1; otherwise that of timestep 0. Default true. */
  setAlphaToOne: flag().default(true),
});
export type DdimOptions = z.output<typeof ddimSchema>;

/** The table of DDIM; one evaluation a step. */
export function ddim(options: DdimOptions, { numInferenceSteps, prediction }: ScheduleContext): Schedule {
  requirePrediction(options.kind, prediction, ['epsilon', 'v', 'sample']);
  const { numTrainTimesteps, timestepSpacing, stepsOffset, eta } = options;
  const products = alphasCumprod(options);
  const timesteps = discreteTimesteps(timestepSpacing, numTrainTimesteps, numInferenceSteps, { stepsOffset });
  const stride = Math.floor(numTrainTimesteps / numInferenceSteps);
  const last = options.setAlphaToOne ? 1 : products[0]!;
  return {
    initialScale: 1,
    steps: timesteps.map((timestep, step) => {
      const product = products[timestep]!;
      const next = timestep - stride >= 0 ? products[timestep - stride]! : last;
      const alpha = Math.sqrt(product);
      const sigma = Math.sqrt(1 - product);
      const noise = eta * Math.sqrt(((1 - next) / (1 - product)) * (1 - product / next));
      const [a, b] = dataPrediction(prediction, alpha, sigma);
      const toData = Math.sqrt(next);
      // ε_θ = (x − α x0) / σ, so x' is linear in x and x0.
      const toNoise = Math.sqrt(Math.max(1 - next - noise * noise, 0)) / sigma;
      return {
        step,
        timestep,
        time: timestep / numTrainTimesteps,
        sigma: sigma / alpha,
        inputScale: 1,
        sample: toNoise + (toData - toNoise * alpha) * a,
        outputs: [(toData - toNoise * alpha) * b],
        preview: [a, b],
        noise,
      };
    }),
  };
}
