/** The noise levels of flow matching: spacing, shift, dynamic shift, terminal stretch. */
import { choice, finite, flag, whole } from '../validation/vocabulary';

import { linspace } from './spacing';
import type { ScheduleContext, ScheduleStep } from './step';

/** Options of the flow-matching samplers, those of diffusers in camelCase, and how σ becomes the model's timestep. */
export interface FlowOptions {
  /** Timesteps the model was trained with; sets the smallest σ, 1 / numTrainTimesteps. Default 1000. */
  numTrainTimesteps?: number;
  /** Constant shift s, 0.001 to 1000: σ → s σ / (1 + (s − 1) σ). Default 1, no shift. */
  shift?: number;
  /** The timestep fed to the model is σ · timestepScale. Default 1000, as in diffusers; 1 for a model that takes σ. */
  timestepScale?: number;
  /** `linspace`: from σ_max to σ_min, as diffusers; `trailing`: 1 − i / n, as Flux samples. Default 'linspace'. */
  timestepSpacing?: 'linspace' | 'trailing';
  /** Shift by the number of image tokens instead of by `shift`. Default false. */
  useDynamicShifting?: boolean;
  /** Shift exponent at baseImageSeqLen tokens, −20 to 20. Default 0.5. */
  baseShift?: number;
  /** Shift exponent at maxImageSeqLen tokens, −20 to 20. Default 1.15. */
  maxShift?: number;
  /** Image tokens at which the shift exponent is `baseShift`. Default 256. */
  baseImageSeqLen?: number;
  /** Image tokens at which the shift exponent is `maxShift`. Default 4096. */
  maxImageSeqLen?: number;
  /** How the dynamic shift μ acts: through exp(μ), or μ itself. Default 'exponential'. */
  timeShiftType?: 'exponential' | 'linear';
  /** Stretch the schedule so that its last σ is this one, from 0 to 0.999. Default: no stretch. */
  shiftTerminal?: number;
}

export const flowOptions = {
  numTrainTimesteps: whole(1, 1_000_000).default(1000),
  shift: finite(0.001, 1000).default(1),
  timestepScale: finite(0, 1_000_000).default(1000),
  timestepSpacing: choice(['linspace', 'trailing']).default('linspace'),
  useDynamicShifting: flag().default(false),
  baseShift: finite(-20, 20).default(0.5),
  maxShift: finite(-20, 20).default(1.15),
  baseImageSeqLen: whole(1).default(256),
  maxImageSeqLen: whole(1).default(4096),
  timeShiftType: choice(['exponential', 'linear']).default('exponential'),
  shiftTerminal: finite(0, 0.999).optional(),
};

export interface FlowSpacing {
  numTrainTimesteps: number;
  shift: number;
  timestepSpacing: 'linspace' | 'trailing';
  useDynamicShifting: boolean;
  baseShift: number;
  maxShift: number;
  baseImageSeqLen: number;
  maxImageSeqLen: number;
  timeShiftType: 'exponential' | 'linear';
  shiftTerminal?: number | undefined;
}

/** σ of each step, descending, without the final 0. */
export function flowSigmas(options: FlowSpacing, { numInferenceSteps, imageTokens }: ScheduleContext): number[] {
  const { shift, numTrainTimesteps, useDynamicShifting, shiftTerminal } = options;
  const shifted = (sigma: number) => (shift * sigma) / (1 + (shift - 1) * sigma);
  // diffusers spaces between the ends of its training table, which a constant shift has already moved, and then
  // shifts again: so does this, to give the same numbers.
  const smallest = useDynamicShifting ? 1 / numTrainTimesteps : shifted(1 / numTrainTimesteps);
  const last = options.timestepSpacing === 'trailing' ? 1 / numInferenceSteps : smallest;
  let sigmas = linspace(1, last, numInferenceSteps);
  sigmas = useDynamicShifting ? dynamicShift(sigmas, options, imageTokens) : sigmas.map(shifted);
  if (shiftTerminal) {
    // The schedule of LTX-Video: 1 − σ scaled so that the last one is 1 − shiftTerminal. A schedule of one step has
    // nothing to stretch.
    const reach = 1 - sigmas.at(-1)!;
    if (reach > 0) sigmas = sigmas.map((sigma) => 1 - ((1 - sigma) / reach) * (1 - shiftTerminal));
  }
  return sigmas;
}

/** μ grows linearly with the number of image tokens, as in diffusers' Flux pipeline (`calculate_shift`). */
function dynamicShift(sigmas: number[], options: FlowSpacing, imageTokens: number): number[] {
  const { baseShift, maxShift, baseImageSeqLen, maxImageSeqLen, timeShiftType } = options;
  const slope = maxImageSeqLen === baseImageSeqLen ? 0 : (maxShift - baseShift) / (maxImageSeqLen - baseImageSeqLen);
  const mu = baseShift + slope * (imageTokens - baseImageSeqLen);
  const strength = timeShiftType === 'exponential' ? Math.exp(mu) : mu;
  return sigmas.map((sigma) => strength / (strength + (1 / sigma - 1)));
}

/** A step that adds multiples of the slopes D to x, which is what every flow-matching sampler does. */
export function flowRow(step: number, sigma: number, outputs: number[], timestepScale: number): ScheduleStep {
  return {
    step,
    timestep: sigma * timestepScale,
    time: sigma,
    sigma,
    inputScale: 1,
    sample: 1,
    outputs,
    preview: [1, -sigma],
    noise: 0,
  };
}
