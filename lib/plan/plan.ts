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
  type Adjustment,
  type GuidanceContext,
  type GuidanceOptions,
} from '../guidance';
import type { GenerateRequest } from '../options/generate';
import { parse } from '../options/parse';
import { Branches } from './branches';
import { chooseScheduler } from './scheduler';
import { untouchedBlocks } from './depth';
import { checkConflicts } from './conflict';
import { findAttentions, findOutput, findOutputs } from './site';
import type { Plan, PlanAdjustment, PlannedModel } from './types';
import { schedule, type SchedulerOptions } from '../schedule';

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
