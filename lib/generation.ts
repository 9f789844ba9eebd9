/** One call of `generate`, from its plan to its pictures; what the pipeline does apart from waiting its turn. */
import { randomInt } from 'node:crypto';

import type { Bundle } from './bundle';
import { conditioningTensors } from './conditioning';
import { tensorHash, type PictureMetadata } from './metadata';
import type { NativeAddon, NativeModel, NativePlan } from './native';
import type { GenerateOptions, GenerateRequest } from './options/generate';
import { toPixels } from './picture';
import type { Plan } from './plan';
import { GeneratedImage, type GenerateResult } from './result';
import { checkTensor, type Tensor } from './tensor';
import { version } from './version';

/** What made the pictures, for their metadata. */
export interface Maker {
  bundle: Bundle;
  device: string;
  dtype: string;
  /** Why `dtype: 'auto'` became this one; null when it was asked for by name. */
  dtypeReason: string | null;
  addon: NativeAddon;
}

type Sampled = Awaited<ReturnType<NativeModel['sample']>['promise']>;

/** Seed of each image: the given one and the following ones, or drawn. */
export function chooseSeeds(seed: number | undefined, images: number): number[] {
  const first = seed ?? randomInt(2 ** 32);
  return Array.from({ length: images }, (_, image) => first + image);
}

/**
 * The plan with its tensors, as the native loop takes it.
 *
 * @throws BAD_TENSOR for latents or conditioning of another shape or dtype, or with NaN; BAD_OPTION for conditioning
 *   that is missing
 */
export function nativePlan(
  plan: Plan,
  request: GenerateRequest,
  seeds: number[],
  { bundle, addon }: Maker,
): NativePlan {
  const { channels, height, width } = bundle.latent;
  const shape = [plan.images, channels, height, width];
  const names = [...new Set(plan.branches.map(({ conditioning }) => conditioning))];
  const noise = request.latents
    ? (checkTensor(request.latents, { name: 'options.latents', dtype: ['float32'], shape, finite: true })
        .data as Float32Array)
    : gaussians(seeds, shape.slice(1), addon);
  return {
    latents: { data: noise.map((value) => value * plan.initialScale), shape, dtype: 'float32' },
    conditionings: names.map((which) => conditioningTensors(which, request, plan.images, plan.classes, bundle)),
    edits: plan.edits,
    branches: plan.branches.map(({ conditioning, edits, reference }) => ({
      conditioning: names.indexOf(conditioning),
      edits,
      ...(reference === null ? {} : { reference }),
    })),
    steps: plan.steps.map(({ timestep, inputScale, weights, reused, adjustments, sample, outputs, preview }) => ({
      timestep,
      inputScale,
      weights,
      reuse: reused.map(Number),
      combine: adjustments,
      sample,
      outputs,
      preview,
    })),
    adaptive: plan.branches.flatMap(({ adaptive }, branch) => (adaptive ? [{ branch, ...adaptive }] : [])),
    share: plan.partialForward,
    batchSize: plan.batchSize,
    preview: plan.preview,
  };
}

function gaussians(seeds: number[], shape: number[], addon: NativeAddon): Float32Array {
  const size = shape.reduce((product, length) => product * length, 1);
  const noise = new Float32Array(seeds.length * size);
  seeds.forEach((seed, image) => noise.set(addon.gaussian(BigInt(seed), shape).data as Float32Array, image * size));
  return noise;
}

/** @throws MODEL_FAILED when the picture has NaN */
export function finishGeneration(
  sampled: Sampled,
  plan: Plan,
  request: GenerateRequest,
  seeds: number[],
  maker: Maker,
): GenerateResult {
  const { latent, image } = maker.bundle;
  const { channels, height, width } = latent;
  const all = sampled.latents.data as Float32Array;
  const size = channels * height * width;
  const images = seeds.map((_, index) => {
    const own = all.slice(index * size, (index + 1) * size);
    return new GeneratedImage({
      width,
      height,
      channels: image.channels,
      pixels: toPixels(own, latent, image.range),
      latents: { data: own, shape: [1, channels, height, width], dtype: 'float32' },
      metadata: metadataOf(index, plan, request, seeds, maker),
    });
  });
  return { images, latents: sampled.latents, seeds, plan, sharing: sampled.sharing, evaluations: sampled.evaluations };
}

function metadataOf(
  index: number,
  plan: Plan,
  request: GenerateRequest,
  seeds: number[],
  { bundle, device, dtype, addon }: Maker,
): PictureMetadata {
  const { conditioning, negativeConditioning } = request;
  const hashes = [
    ...Object.entries(conditioning ?? {}).map(
      ([name, tensor]) => [`conditioning.${name}`, row(tensor, index)] as const,
    ),
    ...Object.entries(negativeConditioning ?? {}).map(
      ([name, tensor]) => [`negativeConditioning.${name}`, row(tensor, index)] as const,
    ),
  ].map(([name, tensor]) => [name, tensorHash(tensor)] as const);
  return {
    format: 1,
    version,
    libtorch: addon.info().libtorch,
    device,
    dtype,
    bundle: { name: bundle.name, transformer: bundle.files[bundle.transformer.file]!.sha256 },
    seed: seeds[index]!,
    class: plan.classes?.[index] ?? null,
    options: optionsOf(index, plan, request, seeds[index]!),
    ...(hashes.length > 0 ? { conditioning: Object.fromEntries(hashes) } : {}),
    // Alone, as the options make it: the plan of a picture does not tell how many others there were.
    plan: { ...plan, images: 1, classes: plan.classes && [plan.classes[index]!], preview: false },
  };
}

function optionsOf(index: number, plan: Plan, request: GenerateRequest, seed: number): GenerateOptions {
  return {
    ...(plan.classes ? { classLabel: plan.classes[index]! } : {}),
    seed,
    ...(request.latents ? { latents: row(request.latents, index) } : {}),
    numInferenceSteps: plan.numInferenceSteps,
    numImages: 1,
    guidance: plan.guidance,
    scheduler: { ...plan.scheduler },
    batchSize: plan.batchSize,
    partialForward: plan.partialForward,
  };
}

/** Row `index` of a tensor with a row for each image, or the only one. */
function row(tensor: Tensor, index: number): Tensor {
  const rows = tensor.shape[0] ?? 1;
  if (rows <= 1) return tensor;
  const size = tensor.data.length / rows;
  return { ...tensor, data: tensor.data.slice(index * size, (index + 1) * size), shape: [1, ...tensor.shape.slice(1)] };
}
