/** The options of `pipeline.generate` and `pipeline.plan`. The types are those of the schema. */
import { z } from 'zod';

import { guidanceSchema, presetNames } from '../guidance';
import type { StepEvent } from '../progress';
import type { Tensor } from '../tensor';

import { abortSignal, choice, either, flag, list, strictObject, text, whole } from './vocabulary';

const oneClass = either([whole(0), text()], 'a class index from 0 or the name of a class');

/** Any object with the parts of a tensor; its contents are checked where the expected shape is known. */
export const tensorLike = z.custom<Tensor>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && 'data' in value,
  { error: 'a tensor { data, shape, dtype }' },
);

const tensorsByName = z.record(z.string(), tensorLike, { error: 'an object of tensors by input name' });

/** Largest seed: image i takes seed + i, which has to stay a safe integer. */
const maximumSeed = Number.MAX_SAFE_INTEGER - 1_000_000;

export const generateSchema = strictObject({
  /** Class index, class name, or a list with one for each image. For models conditioned by class. */
  classLabel: either(
    [oneClass, list(oneClass, 'a list of classes')],
    'a class index, a class name, or a list of them,',
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
  /** Unit Gaussian noise [images, channels, height, width], float32, in place of the seed's. */
  latents: tensorLike.optional(),
  /** Default: the bundle's, or 30. */
  numInferenceSteps: whole(1, 1000).optional(),
  /** Default: as many as there are class labels or latents, or 1. */
  numImages: whole(1, 100_000).optional(),
  /**
   * Techniques and their options, or the name of a preset. Default: the bundle's; `{}` is the conditional prediction
   * alone.
   */
  guidance: either(
    [guidanceSchema, choice(presetNames)],
    `an object of techniques, or one of ${presetNames.map((name) => `'${name}'`).join(', ')},`,
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
  /** Ends the run within one evaluation of the model; the call then rejects with an AbortError. */
  signal: abortSignal().optional(),
});

/** What `generate` takes. */
export type GenerateOptions = z.input<typeof generateSchema>;
/** What `generate` works with: defaults filled in. */
export type GenerateRequest = z.output<typeof generateSchema>;
