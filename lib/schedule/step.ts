/**
 * A scheduler is a table of numbers. Every sampler here is linear in the current sample x, in this and earlier model
 * outputs D and in noise ε, so one row says all that the loop has to do:
 *
 *   D_0 = model(inputScale · x, timestep)
 *   x0  = preview[0] · x + preview[1] · D_0
 *   x'  = sample · x + Σ_k outputs[k] · D_{-k} + noise · ε
 */

/** What the model predicts; `flow` is the velocity noise − x0. */
export type Prediction = 'flow' | 'epsilon' | 'v' | 'sample';

/** One evaluation of the model and what follows from it. */
export interface ScheduleStep {
  /** Index of the inference step that this evaluation belongs to; Heun has two evaluations a step. */
  step: number;
  /** The value fed to the model as its timestep. */
  timestep: number;
  /** Position on the way from data (0) to noise (1), the same for every sampler: σ for flow matching, t / T otherwise. */
  time: number;
  /** Noise level, as diffusers defines it for this scheduler. */
  sigma: number;
  inputScale: number;
  sample: number;
  /** Coefficients of this and earlier model outputs, newest first. */
  outputs: number[];
  /** x0 = preview[0] · x + preview[1] · D_0. */
  preview: [number, number];
  /** Coefficient of fresh unit Gaussian noise; 0 for deterministic samplers. */
  noise: number;
}

export interface Schedule {
  /** Standard deviation of the initial state: the unit Gaussian latents are multiplied by it. */
  initialScale: number;
  /** Rows in order of evaluation. */
  steps: ScheduleStep[];
}

/** What a scheduler may need to know about the model besides its own options. */
export interface ScheduleContext {
  numInferenceSteps: number;
  prediction: Prediction;
  /** Number of image tokens, for resolution-dependent shifting. */
  imageTokens: number;
}
