/** The options of `pipeline.generate` and `pipeline.plan`. */
import { isUint8Array } from 'node:util/types';

import { z } from 'zod';

import { guidanceSchema, presetNames, type GuidanceOptions, type PresetName } from '../guidance';
import type { SchedulerChanges } from '../schedule';
import type { Tensor } from '../tensor';
import { describedBy } from '../validation/describedBy';
import {
  abortSignal,
  callback,
  choice,
  either,
  finite,
  flag,
  list,
  strictObject,
  text,
  whole,
} from '../validation/vocabulary';
import type { Picture } from '../vae';

import { seedsSchema, type Seed } from './seeds';
import type { PhaseEvent, StepEvent } from './stepEvent';
import type { Warning } from './warning';

/** What `generate` takes. Names are those of diffusers' pipelines, in camelCase. */
export interface GenerateOptions {
  /** What the picture shows; a list makes as many pictures. For models conditioned by text. */
  prompt?: string | string[];
  /**
   * What it should not show: the prompt of the unconditional branch, one for all or one a prompt. Default ''.
   * Without such a branch nothing sees it, which `onWarning` is told.
   */
  negativePrompt?: string | string[];
  /** In pixels. Default: that of `image`, of `latents`, or the bundle's. BAD_OPTION, with the nearest that can be made. */
  width?: number;
  /** In pixels. Default: that of `image`, of `latents`, or the bundle's. BAD_OPTION, with the nearest that can be made. */
  height?: number;
  /**
   * Frames of a video, one more than a multiple of those that a latent frame stands for: of Wan 1, 5, 9, … For models of
   * videos. Default: the bundle's. BAD_OPTION, with the nearest that can be made.
   */
  numFrames?: number;
  /** Tokens of the prompt for the encoders that take any number (T5). Default and maximum: the bundle's. */
  maxSequenceLength?: number;
  /** Start from this picture, resized, not from noise alone; needs a VAE encoder, or a latent that is a picture. BAD_TENSOR. */
  image?: Picture;
  /** How much of `image` is noise at the start, 0.001 to 1: 1 leaves nothing of it. Default 0.6. BAD_OPTION without `image`. */
  strength?: number;
  /** White where `image` is painted anew, black where it stays; resized as it is, cut at half grey. */
  maskImage?: Picture;
  /** Class index, class name, or a list with one for each image. For models conditioned by class. CLASS_OUT_OF_RANGE. */
  classLabel?: number | string | (number | string)[];
  /** For models conditioned by tensors: one by the name of each input, with a row for each image, or one for all. BAD_TENSOR. */
  conditioning?: Record<string, Tensor>;
  /** The same for the unconditional branch; inputs that are missing here are taken from `conditioning`. Not beside a prompt. */
  negativeConditioning?: Record<string, Tensor>;
  /**
   * Image i is made from the seed + i, so a seed gives the same picture whatever `numImages` is; or a list with one seed
   * for each image. Whole numbers from 0 to 2^64 − 1, as a bigint above 2^53 − 1. libtorch draws from the low 32 bits: seeds
   * that agree in them give the same noise. Default: drawn, and given back in `seeds`.
   */
  seed?: Seed | Seed[];
  /** Unit Gaussian noise, float32 [images, channels, (frames,) height, width] in cells, in place of the seed's. BAD_TENSOR. */
  latents?: Tensor;
  /** From 1 to 1000, and for samplers of training timesteps at most as many as those. Default: the bundle's, or 30. */
  numInferenceSteps?: number;
  /**
   * Pictures in all, from 1 to 100 000; with a list of prompts a multiple of their number, a prompt's pictures one after the
   * other. Default: as many as there are prompts, class labels, seeds or latents, or 1.
   */
  numImages?: number;
  /** Techniques and their options, or a preset's name. Default: the bundle's; `{}` is the conditional prediction alone. */
  guidance?: GuidanceOptions | PresetName;
  /** In place of `guidance` one for each picture. They may differ in their scales alone, and none may be off. BAD_OPTION. */
  guidancePerImage?: (GuidanceOptions | PresetName)[];
  /** Options of the sampler that differ from the bundle's; another `kind` keeps what the two have in common. */
  scheduler?: SchedulerChanges;
  /**
   * Images per evaluation of the model, from 1 to 4096. 1, the default, keeps an image's bytes independent of the others:
   * a matrix product's last bit may depend on its number of rows. More is faster on a GPU.
   */
  batchSize?: number;
  /** Compute what branches have in common once. In float32 no result changes beyond its last bits. Default true. */
  partialForward?: boolean;
  /** Decode in tiles what is larger than the VAE's `tileSize`. Default false: where memory runs out, told to `onWarning`. */
  vaeTiling?: boolean;
  /**
   * Give `onStep` the current estimate of the picture: after every step, or after those for which a function, called with
   * what `onStep` is told, returns true. Default false.
   */
  preview?: boolean | ((event: StepEvent) => boolean | Promise<boolean>);
  /**
   * Called after every step. The run waits for a promise that it returns, at most one step ahead; what it throws, or
   * what the promise rejects with, ends the run and rejects the call. Another call of the same pipeline that is awaited
   * in it would wait for ever.
   */
  onStep?: (event: StepEvent) => unknown;
  /** Called when a phase begins and as it goes on: text, encoding, sampling, decoding. As `onStep`. */
  onProgress?: (event: PhaseEvent) => unknown;
  /** Called for what the caller should know and that does not stop the call, such as a cut prompt. As `onStep`. */
  onWarning?: (warning: Warning) => unknown;
  /** Ends the run within one evaluation of the model; the call then rejects with an AbortError. */
  signal?: AbortSignal;
}

const oneClass = either([whole(0), text()], 'a class index from 0 or the name of a class');

/** Any object with the parts of a tensor; its contents are checked where the expected shape is known. */
export const tensorLike = z.custom<Tensor>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && 'data' in value,
  { error: 'a tensor { data, shape, dtype }' },
);

const prompts = () =>
  either(
    [z.string(), list(z.string({ error: 'a text' }), 'a list of texts')],
    'a text, or a list of texts with one for each picture',
  );

const picture = z.custom<Picture>(
  (value) =>
    isUint8Array(value) ||
    (typeof value === 'object' && value !== null && 'pixels' in value && 'width' in value && 'height' in value),
  { error: 'the bytes of a PNG, JPEG or WebP file, or { width, height, channels, pixels }' },
);

const tensorsByName = z.record(z.string(), tensorLike, { error: 'an object of tensors by input name' });

const oneGuidance = either(
  [guidanceSchema, choice(presetNames)],
  `an object of techniques, or one of ${presetNames.map((name) => `'${name}'`).join(', ')}`,
);

/** Pictures of a call. */
export const mostImages = 100_000;

export const generateSchema = describedBy<GenerateOptions>()(
  strictObject({
    prompt: prompts().optional(),
    negativePrompt: prompts().optional(),
    width: whole(1, 65_536).optional(),
    height: whole(1, 65_536).optional(),
    numFrames: whole(1, 10_000).optional(),
    maxSequenceLength: whole(1).optional(),
    image: picture.optional(),
    strength: finite(0.001, 1).optional(),
    maskImage: picture.optional(),
    classLabel: either(
      [oneClass, list(oneClass, 'a list of classes')],
      'a class index, a class name, or a list of them',
    ).optional(),
    conditioning: tensorsByName.optional(),
    negativeConditioning: tensorsByName.optional(),
    seed: seedsSchema.optional(),
    latents: tensorLike.optional(),
    numInferenceSteps: whole(1, 1000).optional(),
    numImages: whole(1, mostImages).optional(),
    guidance: oneGuidance.optional(),
    guidancePerImage: list(oneGuidance, 'a list of guidances, one a picture').optional(),
    // Checked against the sampler that it changes.
    scheduler: z
      .custom<SchedulerChanges>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
        error: 'an object of scheduler options',
      })
      .optional(),
    batchSize: whole(1, 4096).default(1),
    partialForward: flag().default(true),
    vaeTiling: flag().default(false),
    preview: either([flag(), callback<StepEvent, boolean | Promise<boolean>>()], 'true, false or a function').default(
      false,
    ),
    onStep: callback<StepEvent>().optional(),
    onProgress: callback<PhaseEvent>().optional(),
    onWarning: callback<Warning>().optional(),
    signal: abortSignal().optional(),
  }),
);

/** What `generate` works with: defaults filled in. */
export type GenerateRequest = z.output<typeof generateSchema>;
