/** The options of `pipeline.generate` and `pipeline.plan`. The types are those of the schema. */
import { z } from 'zod';

import { guidanceSchema, presetNames } from '../guidance';
import type { PhaseEvent, StepEvent } from './stepEvent';
import type { Tensor } from '../tensor';
import type { Warning } from '../text';
import type { Picture } from '../vae';

import { abortSignal, choice, either, finite, flag, list, strictObject, text, whole } from '../validation/vocabulary';

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
    value instanceof Uint8Array ||
    (typeof value === 'object' && value !== null && 'pixels' in value && 'width' in value && 'height' in value),
  { error: 'the bytes of a PNG or JPEG file, or { width, height, channels, pixels },' },
);

const tensorsByName = z.record(z.string(), tensorLike, { error: 'an object of tensors by input name' });

/** Largest seed: image i takes seed + i, which has to stay a safe integer. */
const maximumSeed = Number.MAX_SAFE_INTEGER - 1_000_000;

export const generateSchema = strictObject({
  /** What the picture shows; a list makes as many pictures. For models conditioned by text. */
  prompt: prompts().optional(),
  /** What it should not show: the prompt of the unconditional branch, one for all or one a prompt. Default ''. */
  negativePrompt: prompts().optional(),
  /** In pixels. Default: those of `image`, of `latents`, or the bundle's. */
  width: whole(1, 65_536).optional(),
  height: whole(1, 65_536).optional(),
  /** Frames of a video. Default: the bundle's. */
  numFrames: whole(1, 10_000).optional(),
  /** Tokens for the encoders that take any number (T5). Default and maximum: the bundle's. */
  maxSequenceLength: whole(1).optional(),
  /** Pictures for each prompt, one after the other. Default 1. */
  numImagesPerPrompt: whole(1, 100_000).optional(),
  /**
   * Start from this picture, resized to `width` and `height`, instead of from noise alone. For bundles with a VAE
   * encoder.
   */
  image: picture.optional(),
  /** How much of `image` is noise at the start, in (0, 1]: 1 leaves nothing of it. Default 0.6. */
  strength: finite(0.001, 1).optional(),
  /** White where `image` is painted anew, black where it stays; resized as it is, cut at half grey. */
  maskImage: picture.optional(),
  /** Class index, class name, or a list with one for each image. For models conditioned by class. */
  classLabel: either(
    [oneClass, list(oneClass, 'a list of classes')],
    'a class index, a class name, or a list of them',
  ).optional(),
  /**
   * Conditioning tensors by the name of the model's input, for models conditioned by tensors. A first size of 1 is the
   * same for all images; otherwise there is one row for each image.
   */
  conditioning: tensorsByName.optional(),
  /** The same for the unconditional branch; inputs that are missing here are taken from `conditioning`. */
  negativeConditioning: tensorsByName.optional(),
  /** Image i is made from the seed + i, so a seed gives the same picture whatever numImages is. Default: drawn. */
  seed: whole(0, maximumSeed).optional(),
  /**
   * Unit Gaussian noise [images, channels, height, width] in latent cells, float32, in place of the seed's; for video
   * [images, channels, frames, height, width].
   */
  latents: tensorLike.optional(),
  /** Default: the bundle's, or 30. */
  numInferenceSteps: whole(1, 1000).optional(),
  /** Default: as many as there are prompts (times numImagesPerPrompt), class labels or latents, or 1. */
  numImages: whole(1, 100_000).optional(),
  /**
   * Techniques and their options, or the name of a preset. Default: the bundle's; `{}` is the conditional prediction
   * alone.
   */
  guidance: either(
    [guidanceSchema, choice(presetNames)],
    `an object of techniques, or one of ${presetNames.map((name) => `'${name}'`).join(', ')}`,
  ).optional(),
  /** Options of the sampler that differ from the bundle's; another `kind` keeps what the two have in common. */
  scheduler: z.record(z.string(), z.unknown(), { error: 'an object of scheduler options' }).optional(),
  /**
   * Images per evaluation of the model. 1, the default, keeps an image's bytes independent of the others: a matrix
   * product's last bit may depend on its number of rows. More is faster on a GPU.
   */
  batchSize: whole(1, 4096).default(1),
  /** Compute what branches have in common once. In fp32 no result changes beyond its last bits. Default true. */
  partialForward: flag().default(true),
  /** Give `onStep` the current estimate of the picture. Default false. */
  preview: flag().default(false),
  /** Called after every step. An exception thrown in it ends the run and rejects the call with it. */
  onStep: z
    .custom<(event: StepEvent) => void>((value) => typeof value === 'function', { error: 'a function' })
    .optional(),
  /** Called when a phase begins and as it goes on: text, sampling, decoding. Exceptions as in `onStep`. */
  onProgress: z
    .custom<(event: PhaseEvent) => void>((value) => typeof value === 'function', { error: 'a function' })
    .optional(),
  /** Called for what the caller should know and that does not stop the call, such as a prompt that was cut. */
  onWarning: z
    .custom<(warning: Warning) => void>((value) => typeof value === 'function', { error: 'a function' })
    .optional(),
  /** Ends the run within one evaluation of the model; the call then rejects with an AbortError. */
  signal: abortSignal().optional(),
});

/** What `generate` takes. */
export type GenerateOptions = z.input<typeof generateSchema>;
/** What `generate` works with: defaults filled in. */
export type GenerateRequest = z.output<typeof generateSchema>;
