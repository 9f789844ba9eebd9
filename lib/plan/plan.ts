/**
 * From options to plan: which branches are evaluated in which step, with which weights and edits, and what the sampler
 * does with the sum. The plan is plain data and the computation is pure: no tensor is made and no model runs.
 */
import type { BundleManifest } from '../bundle';
import { classIndices } from '../conditioning';
import { DetailGuidanceError } from '../errors';
import {
  conditional,
  contributions,
  guidanceSchema,
  preset,
  type AdaptiveReuse,
  type Adjustment,
  type Conditioning,
  type GuidanceContext,
  type GuidanceOptions,
} from '../guidance';
import type { NativeAdjustment, NativeEdit, NativeSite } from '../native';
import type { GenerateRequest } from '../options/generate';
import { parse } from '../options/parse';
import { Branches } from './branches';
import { chooseScheduler } from './scheduler';
import { untouchedBlocks } from './depth';
import { checkConflicts } from './conflict';
import { findAttentions, findOutput, findOutputs } from './site';
import { schedule, type SchedulerOptions } from '../schedule';

/** A step of the plan that is not linear in the branches; indices are those of `Plan.branches`. */
export type PlanAdjustment = NativeAdjustment;

/** One evaluation of the sampler: D = Σ weights[b] · D_b, x' = sample · x + Σ outputs[k] · D_{−k}. */
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
  /** One per branch: its difference to its reference is that of the last evaluation that computed it. */
  reused: boolean[];
  adjustments: PlanAdjustment[];
  sample: number;
  /** Coefficients of this and earlier guided predictions, newest first. */
  outputs: number[];
  /** x0 = preview[0] · x + preview[1] · D. */
  preview: [number, number];
}

export interface PlanBranch {
  /** For people: conditional, unconditional, detail-deficient (…). */
  name: string;
  conditioning: Conditioning;
  /** Indices into `Plan.edits`. */
  edits: number[];
  /** The branch whose change stands in for this one's where it is reused; null for one that never is. */
  reference: number | null;
  /** Reuse it while the first input of the submodule at `path` has changed by less than `threshold`; null: not. */
  adaptive: AdaptiveReuse | null;
  /** Blocks that are computed before the first edit acts; all of them when there is none. */
  untouched: number;
}

/** Everything that `generate` will do, as plain data. */
export interface Plan {
  images: number;
  /** Class index of each image; null for a model that is not conditioned by class. */
  classes: number[] | null;
  numInferenceSteps: number;
  /** The sampler with all its options. */
  scheduler: SchedulerOptions;
  /** The guidance with all its options. */
  guidance: GuidanceOptions;
  /** The unit Gaussian latents are multiplied by this. */
  initialScale: number;
  edits: NativeEdit[];
  branches: PlanBranch[];
  /** In order of evaluation. */
  steps: PlanStep[];
  partialForward: boolean;
  batchSize: number;
  preview: boolean;
  /** Blocks of the model. */
  layers: number;
}

/** What is known about the model when a plan is made. */
export interface PlannedModel {
  bundle: BundleManifest;
  sites: readonly NativeSite[];
  /** Number of blocks. */
  layers: number;
  /** For each layer, its channels by strength, where they were measured. */
  ranking?: ReadonlyMap<number, readonly number[]> | null;
}

/**
 * Plans a call of `generate`.
 *
 * @throws BAD_OPTION, CLASS_OUT_OF_RANGE, LAYER_OUT_OF_RANGE, CHANNEL_OUT_OF_RANGE, TOKEN_OUT_OF_RANGE, SITE_NOT_FOUND,
 *   BAD_TENSOR
 */
export function plan(request: GenerateRequest, model: PlannedModel): Plan {
  const { bundle } = model;
  const images = countImages(request);
  const classes = classIndices(request.classLabel, images, bundle.conditioning);
  const numInferenceSteps = request.numInferenceSteps ?? bundle.defaults?.numInferenceSteps ?? 30;
  const guidance = chooseGuidance(request.guidance, bundle);
  const scheduler = chooseScheduler(bundle.scheduler, request.scheduler);
  const [rows, columns] = bundle.transformer.tokenGrid;
  const table = schedule(scheduler, {
    numInferenceSteps,
    prediction: bundle.transformer.prediction,
    imageTokens: rows * columns,
  });
  const context: GuidanceContext = {
    evaluations: table.steps.map(({ step, time }) => ({ step, fraction: step / numInferenceSteps, time })),
    layers: model.layers,
    hiddenChannels: bundle.transformer.hiddenChannels,
    tokenGrid: bundle.transformer.tokenGrid,
    jointAttention: bundle.transformer.jointAttention,
    massiveActivations: bundle.massiveActivations ?? null,
    ranking: (layer) => model.ranking?.get(layer) ?? null,
    output: (option, layer, stream) => findOutput(option, layer, stream, model),
    everyStream: (option, layer) => findOutputs(option, layer, model),
    attentions: (option, layer) => findAttentions(option, layer, model),
  };
  const found = contributions(guidance, context);
  const branches = new Branches(table.steps.length);
  const base = found.flatMap((contribution) => contribution.branches ?? []);
  if (base.length === 0) branches.add(conditional, new Array<number>(table.steps.length).fill(1));
  for (const { branch, weights } of base) branches.add(branch, weights);
  for (const { terms } of found) for (const term of terms) branches.addTerm(term);
  const { weights, reused, planned, edits } = branches.finish();
  for (const branch of planned)
    checkConflicts(
      branch.name,
      branch.edits.map((index) => edits[index]!),
    );
  const adjustments = found.flatMap((contribution) => contribution.adjustments ?? []);
  return {
    images,
    classes,
    numInferenceSteps,
    scheduler,
    guidance,
    initialScale: table.initialScale,
    edits,
    branches: planned.map((branch) => ({ ...branch, untouched: untouchedBlocks(branch.edits, edits, model) })),
    steps: table.steps.map((row, index) => {
      if (row.noise !== 0) throw stochastic(scheduler);
      const { timestep, time, sigma, inputScale, sample, outputs, preview } = row;
      return {
        timestep,
        time,
        sigma,
        inputScale,
        weights: weights[index]!,
        reused: reused[index]!,
        adjustments: adjustmentsAt(index, adjustments, weights[index]!, branches),
        sample,
        outputs,
        preview,
      };
    }),
    partialForward: request.partialForward,
    batchSize: request.batchSize,
    preview: request.preview,
    layers: model.layers,
  };
}

function countImages({ numImages, classLabel, latents }: GenerateRequest): number {
  if (numImages !== undefined) return numImages;
  if (Array.isArray(classLabel)) return classLabel.length;
  return (Array.isArray(latents?.shape) ? latents.shape[0] : undefined) ?? 1;
}

/** The caller's, a preset, or the bundle's. */
function chooseGuidance(given: GenerateRequest['guidance'], bundle: BundleManifest): GuidanceOptions {
  if (typeof given === 'object') return given;
  const defaults = bundle.defaults?.guidance ?? {};
  const guidance = given === undefined ? defaults : preset(given, defaults);
  return parse(guidanceSchema, guidance, 'bundle.json.defaults.guidance', 'BUNDLE_INVALID');
}

function adjustmentsAt(
  index: number,
  adjustments: readonly Adjustment[],
  weights: readonly number[],
  branches: Branches,
): PlanAdjustment[] {
  return adjustments.flatMap((adjustment): PlanAdjustment[] => {
    if (!adjustment.active[index]) return [];
    if (adjustment.kind === 'zero') return [{ kind: 'zero' }];
    const reference = branches.indexOf(adjustment.reference);
    // A branch that is not evaluated has nothing to adjust.
    if (reference === null || weights[reference] === 0) return [];
    if (adjustment.kind === 'rescale') return [{ kind: 'rescale', reference, factor: adjustment.factor }];
    const branch = branches.indexOf(adjustment.branch);
    if (branch === null || weights[branch] === 0) return [];
    if (adjustment.kind === 'project') return [{ kind: 'project', branch, reference }];
    const { kind, eta, normThreshold, momentum } = adjustment;
    return [{ kind, branch, reference, eta, normThreshold, momentum }];
  });
}

function stochastic({ kind }: SchedulerOptions): DetailGuidanceError {
  return new DetailGuidanceError(
    'BAD_OPTION',
    `options.scheduler adds fresh noise in every step ('${kind}' with eta above 0), which is not supported; eta 0 would be right.`,
    { expected: 'eta 0' },
  );
}
