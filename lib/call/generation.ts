/** One call of `generate`, from its plan to its pictures; what the pipeline does apart from waiting its turn. */
import { frameRateOf, type BundleManifest, type OpenBundle } from '../bundle';
import { conditioningTensors } from '../request/conditioning';
import type { Checksums } from './given';
import type { PictureMetadata } from './metadata';
import type { LoadOptions, PartDevices } from '../model/loadOptions';
import type { Quantize } from '../model/quantizeOptions';
import type { NativeAddon, NativeModel, NativePlan } from '../native';
import type { GenerateOptions, GenerateRequest } from '../request/generateOptions';
import type { DecodedPicture } from './decoding';
import { defaultStrength, planOfImage, type Plan } from '../plan';
import { GeneratedImage, type GenerateResult } from './result';
import { chooseSeeds, lowBits, type Seed } from '../request/seeds';
import { checkTensor, type Tensor } from '../tensor';
import { version } from '../files/version';

/** What made the pictures, for their metadata. */
export interface LoadedBundle {
  bundle: OpenBundle;
  device: string;
  dtype: string;
  /** Why `dtype: 'auto'` became this one; null when it was asked for by name. */
  dtypeReason: string | null;
  /** Of text encoders and VAE, where they are on another device than the transformer. */
  devices?: PartDevices | undefined;
  /** What `loadPipeline` was told to fuse; undefined: everything. */
  fuse?: LoadOptions['fuse'];
  /** What `loadPipeline` was told to quantise. */
  quantize: Quantize | undefined;
  addon: NativeAddon;
}

type Sampled = Awaited<ReturnType<NativeModel['sample']>['promise']>;

/**
 * The plan with its tensors, as the native loop takes it.
 *
 * @throws BAD_TENSOR for latents or conditioning of another shape or dtype, or with NaN; BAD_OPTION for conditioning
 *   that is missing
 */
export function nativePlan(
  plan: Plan,
  request: GenerateRequest,
  seeds: Seed[],
  { bundle, addon }: LoadedBundle,
  pictures: StartingPictures | null = null,
): NativePlan {
  const shape = [plan.images, ...plan.size.latent];
  const { names, tensors } = conditionings(plan, request, bundle);
  return {
    ...firstState(plan, request, seeds, addon, pictures),
    ...(plan.steps.some((step) => step.noise !== 0) ? { seeds: seeds.map(lowBits) } : {}),
    conditionings: tensors,
    edits: plan.edits,
    branches: plan.branches.map(({ name, conditioning, edits, reference }) => ({
      name,
      conditioning: names.indexOf(conditioning),
      edits,
      ...(reference === null ? {} : { reference }),
    })),
    steps: plan.steps.map(
      ({ timestep, inputScale, weights, imageWeights, reuse, adjustments, sample, outputs, preview, noise, keep }) => ({
        timestep,
        inputScale,
        weights,
        ...(imageWeights ? { imageWeights } : {}),
        reuse: reuse.map(Number),
        adjustments,
        sample,
        outputs,
        preview,
        noise,
        ...(keep ? { keep } : {}),
      }),
    ),
    adaptiveReuse: plan.branches.flatMap(({ adaptiveReuse }, branch) =>
      adaptiveReuse ? [{ branch, ...adaptiveReuse }] : [],
    ),
    partialForward: plan.partialForward,
    ...(pictures?.mask
      ? {
          inpainting: {
            mask: pictures.mask,
            image: { data: pictures.image, shape, dtype: 'float32' },
            noise: { data: pictures.noise, shape, dtype: 'float32' },
          },
        }
      : {}),
    batchSize: plan.batchSize,
    preview: plan.preview,
  };
}

/** What the branches are conditioned on, each once: which, and the tensors of the model's inputs. */
function conditionings(plan: Plan, request: GenerateRequest, bundle: BundleManifest) {
  const names = [...new Set(plan.branches.map(({ conditioning }) => conditioning))];
  const context = { size: plan.size, embeddedScale: plan.guidance.embedded?.scale };
  const tensors = names.map((which) => conditioningTensors(which, request, plan.images, plan.classes, bundle, context));
  return { names, tensors };
}

/**
 * Of a call that does not run: the seeds and tensors that it was given fit the plan. Tensors may be missing.
 *
 * @throws as `nativePlan`
 */
export function checkGiven(plan: Plan, request: GenerateRequest, bundle: BundleManifest): void {
  chooseSeeds(request.seed, plan.images);
  if (request.latents) checkLatents(request.latents, plan);
  // A prompt becomes tensors where it runs, and what a plan does is the same for all tensors.
  if (request.conditioning || plan.classes) conditionings(plan, request, bundle);
}

function checkLatents(latents: Tensor, { images, size }: Plan): Tensor {
  const shape = [images, ...size.latent];
  return checkTensor(latents, { name: 'options.latents', dtype: ['float32'], shape, finite: true });
}

/** What image to image starts from, for all images one after the other. */
export interface StartingPictures {
  /** The picture as latents. */
  image: Float32Array;
  /** Unit Gaussian. */
  noise: Float32Array;
  /** Inpainting: [1, 1, height, width], 1 where the picture is made anew. */
  mask: Tensor | null;
}

/** Unit Gaussian noise for all images: the caller's, or that of the seeds. */
export function initialNoise(plan: Plan, request: GenerateRequest, seeds: Seed[], addon: NativeAddon): Float32Array {
  if (request.latents) return checkLatents(request.latents, plan).data as Float32Array;
  return gaussians(seeds, plan.size.latent, addon);
}

function gaussians(seeds: Seed[], shape: number[], addon: NativeAddon): Float32Array {
  const size = shape.reduce((product, length) => product * length, 1);
  const noise = new Float32Array(seeds.length * size);
  seeds.forEach((seed, image) => noise.set(addon.gaussian(BigInt(seed), shape).data as Float32Array, image * size));
  return noise;
}

/** What the sampler begins with. Of the seeds' noise alone it is drawn where the plan runs. */
function firstState(
  plan: Plan,
  request: GenerateRequest,
  seeds: Seed[],
  addon: NativeAddon,
  pictures: StartingPictures | null,
): Pick<NativePlan, 'latents' | 'noise'> {
  const { start, initialScale, size, images } = plan;
  if (!pictures && !request.latents) {
    return { noise: { seeds: seeds.map(BigInt), shape: size.latent, scale: initialScale } };
  }
  const noise = pictures?.noise ?? initialNoise(plan, request, seeds, addon);
  const state = new Float32Array(noise.length);
  if (start && pictures) {
    const [image, share] = start;
    for (let at = 0; at < state.length; at++) state[at] = pictures.image[at]! * image + noise[at]! * share;
  } else {
    for (let at = 0; at < state.length; at++) state[at] = noise[at]! * initialScale;
  }
  return { latents: { data: state, shape: [images, ...size.latent], dtype: 'float32' } };
}

/** The sampler's final state of one image, float32 with a batch of 1. */
function latentsOf(sampled: Sampled, image: number, { size }: Plan): Tensor {
  const count = size.latent.reduce((product, length) => product * length, 1);
  const data = (sampled.latents.data as Float32Array).slice(image * count, (image + 1) * count);
  return { data, shape: [1, ...size.latent], dtype: 'float32' };
}

/** What a picture's metadata says beside the plan. */
export interface PictureFacts {
  /** Checksums of what it was given. */
  given: Checksums;
  /** It was decoded in tiles, asked for or not. */
  isTiled: boolean;
}

/** The pictures with what they were made by. */
export function finishGeneration(
  sampled: Sampled,
  decoded: readonly DecodedPicture[],
  plan: Plan,
  request: GenerateRequest,
  seeds: Seed[],
  facts: readonly PictureFacts[],
  loaded: LoadedBundle,
): GenerateResult {
  const frameRate = frameRateOf(loaded.bundle);
  const images = decoded.map((picture, index) => {
    const latents = latentsOf(sampled, index, plan);
    const metadata = metadataOf(index, plan, request, seeds, facts[index]!, loaded);
    return new GeneratedImage(picture, latents, metadata, frameRate);
  });
  const { latents, execution, evaluations } = sampled;
  return { images, latents, seeds, plan, execution, evaluations };
}

function metadataOf(
  index: number,
  plan: Plan,
  request: GenerateRequest,
  seeds: Seed[],
  { given, isTiled }: PictureFacts,
  { bundle, device, devices, dtype, fuse, quantize, addon }: LoadedBundle,
): PictureMetadata {
  return {
    format: 1,
    version: version(),
    libtorch: addon.info().libtorch,
    device,
    dtype,
    ...(devices === undefined ? {} : { devices }),
    ...(fuse === undefined ? {} : { fuse }),
    ...(quantize === undefined ? {} : { quantize }),
    bundle: { name: bundle.name, transformer: bundle.files[bundle.transformer.file]!.sha256 },
    seed: seeds[index]!,
    class: plan.classes?.[index] ?? null,
    options: { ...optionsOf(index, plan, request, seeds[index]!), ...(isTiled ? { vaeTiling: true } : {}) },
    ...(Object.keys(given).length > 0 ? { conditioning: given } : {}),
    // Alone, as the options make it: the plan of a picture does not tell how many others there were.
    plan: planOfImage(plan, index),
  };
}

function optionsOf(index: number, plan: Plan, request: GenerateRequest, seed: Seed): GenerateOptions {
  const { prompt, negativePrompt, maxSequenceLength, width, height, numFrames, image, strength } = request;
  return {
    ...(plan.classes ? { classLabel: plan.classes[index]! } : {}),
    ...(prompt === undefined ? {} : { prompt: textOf(prompt, index, plan.images) }),
    ...(negativePrompt === undefined ? {} : { negativePrompt: textOf(negativePrompt, index, plan.images) }),
    ...(maxSequenceLength === undefined ? {} : { maxSequenceLength }),
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
    ...(numFrames === undefined ? {} : { numFrames }),
    // Also where it is the default: without the picture, which is not kept, it is refused.
    ...(image === undefined ? {} : { strength: strength ?? defaultStrength }),
    seed,
    ...(request.latents ? { latents: row(request.latents, index) } : {}),
    numInferenceSteps: plan.numInferenceSteps,
    numImages: 1,
    guidance: plan.guidancePerImage?.[index] ?? plan.guidance,
    scheduler: { ...plan.scheduler },
    batchSize: plan.batchSize,
    partialForward: plan.partialForward,
  };
}

/** Of a text, or a list with one for each prompt, that of an image; a prompt's images follow each other. */
export function textOf(text: string | string[], image: number, images: number): string {
  return Array.isArray(text) ? text[Math.floor((image * text.length) / images)]! : text;
}

/** Row `index` of a tensor with a row for each image, or the only one. */
function row(tensor: Tensor, index: number): Tensor {
  const rows = tensor.shape[0] ?? 1;
  if (rows <= 1) return tensor;
  const size = tensor.data.length / rows;
  return { ...tensor, data: tensor.data.slice(index * size, (index + 1) * size), shape: [1, ...tensor.shape.slice(1)] };
}
