/** The plan as plain data, and what it is made from. */
import type { BundleManifest } from '../bundle';
import type { AdaptiveReuse, Conditioning, GuidanceOptions } from '../guidance';
import type { PlanAdjustment, PlanEdit, Site } from '../native';
import type { SchedulerOptions } from '../schedule';
import type { PictureSize } from '../request/pictureSize';

/** One evaluation of the sampler: D = Σ weights[b] · D_b, x' = sample · x + Σ outputs[k] · D_{−k} + noise · ε. */
export interface PlanStep {
  /** What the model is given as its timestep. */
  timestep: number;
  /** Position between data (0) and noise (1). */
  time: number;
  /** Noise level as diffusers defines it for the scheduler. */
  sigma: number;
  /** The model is given inputScale · x. */
  inputScale: number;
  /** One per branch, adding up to 1; a branch with weight 0 is not evaluated. */
  weights: number[];
  /** The same for each picture, where they differ: of `weights` only what is 0 counts then. */
  imageWeights?: number[][];
  /** One per branch: its difference to its reference is that of the last evaluation that computed it. */
  reuse: boolean[];
  /** What is not linear in the branches, in order. */
  adjustments: PlanAdjustment[];
  /** Coefficient of x. */
  sample: number;
  /** Coefficients of this and earlier guided predictions, newest first. */
  outputs: number[];
  /** x0 = preview[0] · x + preview[1] · D. */
  preview: [number, number];
  /** Coefficient of fresh noise ε; 0 for deterministic samplers. */
  noise: number;
  /** Inpainting: after the step, what the mask keeps is keep[0] · image + keep[1] · noise. */
  keep?: [number, number];
}

/** One evaluation of the model: a conditioning and the edits made while it runs. */
export interface PlanBranch {
  /** For people: conditional, unconditional, detail-deficient (…). */
  name: string;
  /** What it is given: the prompt or class, or nothing. */
  conditioning: Conditioning;
  /** Indices into `Plan.edits`. */
  edits: number[];
  /** The branch whose change stands in for this one's where it is reused; null for one that never is. */
  reference: number | null;
  /** Reuse it while the first input of the submodule at `path` has changed by less than `threshold`; null: not. */
  adaptiveReuse: AdaptiveReuse | null;
  /** Blocks that are computed before the first edit acts; all of them when there is none. */
  untouched: number;
}

/** Everything that `generate` will do, as plain data. */
export interface Plan {
  /** Pictures. */
  images: number;
  /** Class index of each image; null for a model that is not conditioned by class. */
  classes: number[] | null;
  /** Steps. */
  numInferenceSteps: number;
  /** Of a picture and of its latent. */
  size: PictureSize;
  /** Image to image: the sampler's first state is start[0] · image + start[1] · noise; null: noise. */
  start: [number, number] | null;
  /** The sampler with all its options. */
  scheduler: SchedulerOptions;
  /** The guidance with all its options. */
  guidance: GuidanceOptions;
  /** That of each picture, where they differ in their scales; `guidance` is the first then. */
  guidancePerImage?: GuidanceOptions[];
  /** The unit Gaussian latents are multiplied by this. */
  initialScale: number;
  /** All edits, each once. */
  edits: PlanEdit[];
  /** The evaluations of the model that a step adds up. */
  branches: PlanBranch[];
  /** In order of evaluation. */
  steps: PlanStep[];
  /** Compute what branches have in common once. */
  partialForward: boolean;
  /** Images per evaluation of the model. */
  batchSize: number;
  /** Give `onStep` the current estimate of the picture. */
  preview: boolean;
  /** Blocks of the model. */
  layers: number;
}

/** What is known about the model when a plan is made. */
export interface PlannedModel {
  bundle: BundleManifest;
  sites: readonly Site[];
  /** Number of blocks. */
  layers: number;
  /** For each layer, its channels by strength, where they were measured. */
  ranking?: ReadonlyMap<number, readonly number[]> | null;
}
