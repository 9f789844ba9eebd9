/** A sampling run as the native loop takes it: branches, weights, coefficients; what is recorded of it. */
import type { OfKind } from '../validation/ofKind';

import type { PlanEdit } from './edits';
import type { Tensor } from './tensor';

/** D_u := (⟨D_c, D_u⟩ / ‖D_u‖²) · D_u, before the weighted sum. */
export interface ProjectAdjustment extends OfKind<'project'> {
  /** u, an index into the plan's branches. */
  branch: number;
  /** c, an index into the plan's branches. */
  reference: number;
}

/** D_u := D_c − (Δ⊥ + η Δ∥), Δ = D_c − D_u with momentum and a limited norm, before the weighted sum. */
export interface ApgAdjustment extends OfKind<'apg'> {
  /** u, an index into the plan's branches. */
  branch: number;
  /** c, an index into the plan's branches. */
  reference: number;
  /** η. */
  eta: number;
  /** The largest norm of Δ; 0: any. */
  normThreshold: number;
  /** Weight of the earlier Δ. */
  momentum: number;
}

/** D := φ · D · std(D_c) / std(D) + (1 − φ) · D, after the weighted sum. */
export interface RescaleAdjustment extends OfKind<'rescale'> {
  /** c, an index into the plan's branches. */
  reference: number;
  /** φ. */
  factor: number;
}

/** D := 0. */
export type ZeroAdjustment = OfKind<'zero'>;

/** What is not linear in the branches; see native/core/sampling/combine.h. */
export type PlanAdjustment = ProjectAdjustment | ApgAdjustment | RescaleAdjustment | ZeroAdjustment;

export interface NativeStep {
  /** As the model takes it. */
  timestep: number;
  /** The model is given inputScale · x. */
  inputScale: number;
  /** One per branch; a branch with weight 0 is not evaluated in this step. */
  weights: number[];
  /** Per image, per branch: where images differ; `weights` only says then which branches are evaluated. */
  imageWeights?: number[][];
  /** Per branch: 1 = its difference to its reference is that of the last step that evaluated it. */
  reuse?: number[];
  adjustments?: PlanAdjustment[];
  /** x' = sample · x + Σ outputs[k] · D of k steps ago + noise · ε, D = Σ_b weights[b] · D_b. */
  sample: number;
  outputs: number[];
  /** Default 0. ε is the next draw of each image's own generator, see `NativePlan.seeds`. */
  noise?: number;
  /** x0 = preview[0] · x + preview[1] · D. */
  preview: [number, number];
  /** Afterwards, outside the plan's mask, x' = keep[0] · image + keep[1] · noise. */
  keep?: [number, number];
}

export interface NativeBranch {
  /** For people, in errors. */
  name?: string;
  conditioning: number;
  edits: number[];
  /** The branch whose movement stands in for this one's in steps that reuse it. */
  reference?: number;
}

/** Which hidden states are looked at while the model runs, and what is made of them. */
export interface NativeRecording {
  /** Indices into `describe().sites`, branches of the plan and its steps (null: all). */
  sites: number[];
  branches: number[];
  steps: number[] | null;
  /** Statistics per channel, and percentiles of |z| besides. */
  channels: boolean;
  percentiles: number[];
  /** L2 norms of the tokens. */
  tokens: boolean;
  /** So many of the strongest values. */
  top: number;
  /** Attention mass, at attention taps. */
  attention: boolean;
  /** Whole hidden states in this dtype; null: none. */
  tensors: 'float32' | 'float16' | 'bfloat16' | null;
  /** As they arrive at a site that is edited, not as they leave it. */
  beforeEdits: boolean;
}

/** Records of one step for a group of images. */
export interface NativeRecords {
  step: number;
  timestep: number;
  /** First image of the group, and how many are in it. */
  image: number;
  images: number;
  /** Five numbers a record: site, branch, tokens, channels, and key tokens that attention mass is given for. */
  index: Int32Array;
  /** For each record, for each image: what native/core/recording/statistics.h says, then the attention mass as floats. */
  words: Int32Array;
  /** One for each record, [images, tokens, channels], where whole hidden states were asked for. */
  tensors: Tensor[];
}

export interface NativePlan {
  /** float32 [images, C, H, W]: the sampler's first state, unless it is `noise`. */
  latents?: Tensor;
  /** The first state is scale · gaussian(seed), one seed and one [C, H, W] an image; drawn where the plan runs. */
  noise?: { seeds: bigint[]; shape: number[]; scale: number };
  /** One an image, for steps with noise: its generator's first draw is the image's initial noise, the next are ε. */
  seeds?: number[];
  /** [conditioning][k], k over the inputs that are neither latent nor timestep; batched ones with images rows or 1. */
  conditionings: Tensor[][];
  edits: PlanEdit[];
  branches: NativeBranch[];
  steps: NativeStep[];
  /**
   * Reuse decided while sampling: `branch` is reused while the first input of the submodule at `path` (block 0's
   * modulated input) has moved by less than `threshold` (relative L1, summed) since the branch was evaluated.
   */
  adaptiveReuse?: { branch: number; path: string; threshold: number }[];
  recording?: NativeRecording;
  /** Partial forward: branches with the same conditioning share what comes before their first edit. */
  partialForward: boolean;
  /** Inpainting: mask [1, 1, H, W], 1 where the sampler's state stays; image and noise as latents. All float32. */
  inpainting?: { mask: Tensor; image: Tensor; noise: Tensor };
  /** Images per evaluation. */
  batchSize: number;
  preview: boolean;
}

export interface NativeProgress {
  /** Steps done, 1 … steps. */
  step: number;
  steps: number;
  /** First image of the group at work, and how many are in it. */
  image: number;
  images: number;
  timestep: number;
  /** x0 as predicted at this step, float32. */
  preview?: Tensor;
}
