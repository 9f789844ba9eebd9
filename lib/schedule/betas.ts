/**
 * The training noise schedules of variance-preserving models. The betas and their products are held in float32, as
 * diffusers and the training code hold them: 1 − ᾱ of the first timesteps depends on it. All that is computed from
 * them is float64.
 */
import { type z } from 'zod';

import { choice, finite, strictObject, whole } from '../validation/vocabulary';

import { linspace } from './spacing';

/** Options of a variance-preserving training schedule, shared by DDIM, DPM-Solver++, UniPC and Heun. */
export interface BetaOptions {
  /** Timesteps the model was trained with. Default 1000. */
  numTrainTimesteps?: number;
  /** First β, from 0 to 1. Default 0.0001. */
  betaStart?: number;
  /** Last β, from 0 to 1. Default 0.02. */
  betaEnd?: number;
  /** How β goes there: `scaled_linear` is linear in √β, `squaredcos_cap_v2` ignores both ends. Default 'linear'. */
  betaSchedule?: 'linear' | 'scaled_linear' | 'squaredcos_cap_v2';
}

export const betaOptions = {
  numTrainTimesteps: whole(1, 1_000_000).default(1000),
  betaStart: finite(0, 1).default(0.0001),
  betaEnd: finite(0, 1).default(0.02),
  betaSchedule: choice(['linear', 'scaled_linear', 'squaredcos_cap_v2']).default('linear'),
};
export const betaSchema = strictObject(betaOptions);
type Betas = z.output<typeof betaSchema>;

/** ᾱ_t, the product of 1 − β up to each training timestep; float32 values. */
export function alphasCumprod(options: Betas): Float64Array {
  let product = 1;
  return Float64Array.from(betas(options), (beta) => {
    product *= Math.fround(1 - beta);
    return Math.fround(product);
  });
}

function betas({ numTrainTimesteps, betaStart, betaEnd, betaSchedule }: Betas): number[] {
  switch (betaSchedule) {
    case 'linear':
      return linspace(betaStart, betaEnd, numTrainTimesteps).map(Math.fround);
    case 'scaled_linear':
      return linspace(Math.sqrt(betaStart), Math.sqrt(betaEnd), numTrainTimesteps).map((root) =>
        Math.fround(Math.fround(root) ** 2),
      );
    case 'squaredcos_cap_v2': {
      // Nichol and Dhariwal, arXiv 2102.09672, with their cap of 0.999.
      const alphaBar = (time: number) => Math.cos((((time + 0.008) / 1.008) * Math.PI) / 2) ** 2;
      return Array.from({ length: numTrainTimesteps }, (_, index) =>
        Math.fround(
          Math.min(1 - alphaBar((index + 1) / numTrainTimesteps) / alphaBar(index / numTrainTimesteps), 0.999),
        ),
      );
    }
  }
}

/** σ = √((1 − ᾱ) / ᾱ) of every training timestep. */
export function trainingSigmas(options: Betas): Float64Array {
  return alphasCumprod(options).map((product) => Math.sqrt((1 - product) / product));
}

/** Linear interpolation of a table indexed by whole numbers, as `numpy.interp` does, clamped at both ends. */
export function interpolate(table: Float64Array, position: number): number {
  const clamped = Math.min(Math.max(position, 0), table.length - 1);
  const below = Math.floor(clamped);
  const above = Math.min(below + 1, table.length - 1);
  return table[below]! + (clamped - below) * (table[above]! - table[below]!);
}
