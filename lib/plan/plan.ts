/**
 * From options to plan: which branches are evaluated in which step, with which weights and edits, and what the sampler
 * does with the sum. The plan is plain data and the computation is pure: no tensor is made and no model runs.
 */
import type { BundleManifest } from '../bundle';
import { classIndices } from '../request/conditioning';
import { invalid } from '../validation/invalid';
import {
  conditional,
  contributions,
  guidanceSchema,
  preset,
  type Adjustment,
  type GuidanceContext,
  type GuidanceRequest,
} from '../guidance';
import type { GenerateRequest } from '../request/generateOptions';
import { parse } from '../validation/parse';
import { pictureSize } from '../request/pictureSize';
import { Branches } from './branches';
import { chooseScheduler } from './scheduler';
import { untouchedBlocks } from './depth';
import { checkConflicts } from './conflict';
import { editContext } from './context';
import { joinPlans, textOf } from './perImage';
import { startFromImage } from './start';
import type { PlanAdjustment } from '../native';
import type { Plan, PlannedModel } from './types';
import { checkedSchedule } from './steps';

/**
 * Plans a call of `generate`.
 *
 * @throws BAD_OPTION, CLASS_OUT_OF_RANGE, LAYER_OUT_OF_RANGE, CHANNEL_OUT_OF_RANGE, TOKEN_OUT_OF_RANGE, SITE_NOT_FOUND,
 *   BAD_TENSOR
 */
export function plan(request: GenerateRequest, model: PlannedModel): Plan {
  const { guidancePerImage, ...shared } = request;
  if (guidancePerImage === undefined) return planAlike(request, model);
  if (request.guidance !== undefined)
    throw invalid('options.guidance', 'nothing, beside guidancePerImage', request.guidance);
  const images = guidancePerImage.length;
  const numImages = countImages({ numImages: images, ...shared });
  if (numImages !== images) throw invalid('options.guidancePerImage', `${numImages} guidances, one a picture`, images);
  // Each guidance once, however many pictures have it.
  const planned = new Map<string, Plan>();
  const plans = guidancePerImage.map((guidance) => {
    const key = textOf(guidance);
    const own = planned.get(key) ?? planAlike({ ...shared, numImages, guidance }, model);
    planned.set(key, own);
    return own;
  });
  return joinPlans(plans as [Plan, ...Plan[]]);
}

/** All pictures with the same guidance. */
function planAlike(request: GenerateRequest, model: PlannedModel): Plan {
  const { bundle } = model;
  const images = countImages(request);
  const classes = classIndices(request.classLabel, images, bundle.conditioning);
  const numInferenceSteps = request.numInferenceSteps ?? bundle.defaults?.numInferenceSteps ?? 30;
  const guidance = chooseGuidance(request.guidance, bundle);
  const scheduler = chooseScheduler(bundle.scheduler, request.scheduler);
  const size = pictureSize(request, bundle);
  const [rows, columns] = size.tokenGrid;
  const whole = checkedSchedule(scheduler, {
    numInferenceSteps,
    prediction: bundle.transformer.prediction,
    imageTokens: rows * columns,
  });
  const { table, start, keep } = startFromImage(whole, request, scheduler.kind, bundle);
  const context: GuidanceContext = {
    ...editContext(model, size.tokenGrid),
    evaluations: table.steps.map(({ step, time }) => ({ step, fraction: step / numInferenceSteps, time })),
    ranking: (layer) => model.ranking?.get(layer) ?? null,
  };
  const parts = contributions(guidance, context);
  const branches = new Branches(table.steps.length);
  const base = parts.flatMap((contribution) => contribution.branches ?? []);
  if (base.length === 0) branches.add(conditional, new Array<number>(table.steps.length).fill(1));
  for (const { branch, weights } of base) branches.add(branch, weights);
  for (const { terms } of parts) for (const term of terms) branches.addTerm(term);
  const { weights, reuse, planned, edits } = branches.finish();
  for (const branch of planned)
    checkConflicts(
      branch.name,
      branch.edits.map((index) => edits[index]!),
    );
  const adjustments = parts.flatMap((contribution) => contribution.adjustments ?? []);
  return {
    images,
    classes,
    numInferenceSteps,
    size,
    start,
    scheduler,
    guidance,
    initialScale: table.initialScale,
    edits,
    branches: planned.map((branch) => ({ ...branch, untouched: untouchedBlocks(branch.edits, edits, model) })),
    steps: table.steps.map((row, index) => {
      const { timestep, time, sigma, inputScale, sample, outputs, preview, noise } = row;
      return {
        timestep,
        time,
        sigma,
        inputScale,
        weights: weights[index]!,
        reuse: reuse[index]!,
        adjustments: adjustmentsAt(index, adjustments, weights[index]!, branches),
        sample,
        outputs,
        preview,
        noise,
        ...(keep ? { keep: keep[index]! } : {}),
      };
    }),
    partialForward: request.partialForward,
    batchSize: request.batchSize,
    preview: request.preview !== false,
    layers: model.layers,
  };
}

interface CountedOptions extends Pick<GenerateRequest, 'numImages' | 'classLabel' | 'prompt' | 'seed'> {
  latents?: { shape: number[] } | undefined;
}

/**
 * Images of a call: what is asked for, or as many as the first list has.
 *
 * @throws BAD_OPTION when a list of prompts does not go into them; BAD_TENSOR for latents without rows
 */
export function countImages({ numImages, classLabel, latents, prompt, seed }: CountedOptions): number {
  const listed = [prompt, classLabel, seed].find((option) => Array.isArray(option));
  const images = numImages ?? listed?.length ?? rowsOf(latents) ?? 1;
  const prompts = Array.isArray(prompt) ? prompt.length : 1;
  if (images % prompts === 0) return images;
  throw invalid('options.numImages', `a multiple of ${prompts}`, images, { note: `for ${prompts} prompts` });
}

function rowsOf(latents: CountedOptions['latents']): number | undefined {
  if (!latents) return undefined;
  const rows = Array.isArray(latents.shape) ? latents.shape[0] : undefined;
  if (rows !== undefined && Number.isInteger(rows) && rows >= 1) return rows;
  throw invalid('options.latents.shape', 'a row for each image', latents.shape, { code: 'BAD_TENSOR' });
}

/** The caller's, a preset, or the bundle's. */
function chooseGuidance(option: GenerateRequest['guidance'], bundle: BundleManifest): GuidanceRequest {
  const defaults = bundle.defaults?.guidance ?? {};
  const chosen =
    typeof option === 'object'
      ? option
      : parse(
          guidanceSchema,
          option === undefined ? defaults : preset(option, defaults),
          'bundle.json.defaults.guidance',
          'BUNDLE_INVALID',
        );
  const { transformer } = bundle;
  if (transformer.inputs.some(({ role }) => role === 'guidance')) {
    if (chosen.embedded) return chosen;
    const { embedded } = parse(
      guidanceSchema,
      { embedded: defaults['embedded'] ?? {} },
      'bundle.json.defaults.guidance',
      'BUNDLE_INVALID',
    );
    return { ...chosen, embedded };
  }
  if (!chosen.embedded) return chosen;
  throw invalid('options.guidance.embedded', 'nothing', chosen.embedded, {
    note: 'this model does not take its guidance as an input; classifierFree is the other way',
  });
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
