/**
 * DDIM, Song et al., arXiv 2010.02502, equations 12 and 16:
 *
 *   x' = √ᾱ' x0 + √(1 − ᾱ' − σ_η²) ε_θ + σ_η ε,   σ_η = η √((1 − ᾱ') / (1 − ᾱ)) √(1 − ᾱ / ᾱ')
 *
 * Equals diffusers' DDIMScheduler with clip_sample=False (clipping is not linear).
 */
import { z } from 'zod';

import { describedBy } from '../validation/describedBy';
import { choice, finite, flag, strictObject, whole } from '../validation/vocabulary';

import { alphasCumprod, betaOptions, type BetaOptions } from './betas';
import { dataPrediction, requirePrediction } from './prediction';
import { discreteTimesteps } from './spacing';
import type { Schedule, ScheduleContext } from './step';
import type { OfKind } from '../validation/ofKind';

/** DDIM, and with `eta` DDPM; one evaluation a step. BAD_OPTION for a model that predicts flow. */
export interface DdimOptions extends BetaOptions, OfKind<'ddim'> {
  /** 0 is deterministic DDIM, 1 is DDPM. Default 0. */
  eta?: number;
  /** Which training timesteps are visited. Default 'leading', as in diffusers. */
  timestepSpacing?: 'linspace' | 'leading' | 'trailing';
  /** Added to every timestep with leading spacing, from 0 to 1000. Default 0. */
  stepsOffset?: number;
  /** ᾱ after the last step is 1; otherwise that of timestep 0. Default true. */
  setAlphaToOne?: boolean;
}

export const ddimSchema = describedBy<DdimOptions>()(
  strictObject({
    kind: z.literal('ddim'),
    ...betaOptions,
    eta: finite(0, 1).default(0),
    timestepSpacing: choice(['linspace', 'leading', 'trailing']).default('leading'),
    stepsOffset: whole(0, 1000).default(0),
    setAlphaToOne: flag().default(true),
  }),
);

/** The table of DDIM; one evaluation a step. */
export function ddim(
  options: z.output<typeof ddimSchema>,
  { numInferenceSteps, prediction }: ScheduleContext,
): Schedule {
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
