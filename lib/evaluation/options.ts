/** The options of `evaluate`. */
import { z } from 'zod';

import { guidanceSchema, presetNames } from '../guidance';
import type { GenerateOptions } from '../request/generateOptions';
import { abortSignal, choice, either, finite, flag, list, strictObject, text, whole } from '../validation/vocabulary';

import { networkSchema } from './network';

/** A network by its file, or with what else has to be known of it. */
export const networkOption = either(
  [text().transform((file) => ({ file })), networkSchema],
  'the path of a TorchScript file, or an object with it',
);

/** The parts of GenerateOptions that say what is in the pictures. */
export type PictureRequest = Pick<
  GenerateOptions,
  'classLabel' | 'prompt' | 'negativePrompt' | 'conditioning' | 'negativeConditioning' | 'height' | 'width'
>;

const settingSchema = strictObject({
  /** Names the setting's folder: letters, digits, '.', '_', '-'. */
  name: z
    .string({ error: "a name of letters, digits, '.', '_' and '-'" })
    .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/, "a name of letters, digits, '.', '_' and '-'"),
  /** As `generate` takes it. Default: the bundle's. */
  guidance: either(
    [guidanceSchema, choice(presetNames)],
    'an object of techniques, or the name of a preset',
  ).optional(),
});

export const evaluateSchema = strictObject({
  /** Folder for samples, measurements and `result.json`. New, unless `resume`. */
  out: text('the path of a folder'),
  /** Go on with what is in `out`; it has to have been begun with the same options. Default false. */
  resume: flag().default(false),
  /** Pictures that the generated ones are compared with; see `openPictures`. */
  reference: text('the path of a folder of pictures, or of an .npy or .safetensors file,'),
  /** Feature network. Default: the one of the bundle (`classifier.features`). */
  features: networkOption.optional(),
  /** Classifier, whose classes are the bundle's. Default: the one of the bundle; null: none. */
  classifier: networkOption.nullable().optional(),
  /** Guidances that are compared, on the same seeds; differences are to the first. Default: one, the bundle's own. */
  settings: list(settingSchema, 'a list of { name, guidance }').optional(),
  /** Generated pictures of each setting. Default 1000. */
  samples: whole(2, 10_000_000).default(1000),
  /** Picture i is made from seed + i. Default 0. */
  seed: whole(0, Number.MAX_SAFE_INTEGER - 20_000_000).default(0),
  /** Default: the bundle's. */
  numInferenceSteps: whole(1, 1000).optional(),
  /** Options of the sampler that differ from the bundle's. */
  scheduler: z.record(z.string(), z.unknown(), { error: 'an object of scheduler options' }).optional(),
  /**
   * What is in the pictures `first` to before `first + count`, as `generate` takes it. Default, for models conditioned by
   * class: all classes in turn, picture i of class i modulo their number.
   */
  request: z
    .custom<(first: number, count: number) => PictureRequest | Promise<PictureRequest>>(
      (value) => typeof value === 'function',
      { error: 'a function' },
    )
    .optional(),
  /** Pictures in one evaluation of a model or network. Default 50. */
  batchSize: whole(1, 4096).default(50),
  /** Where high frequencies begin, in cycles per pixel. Default 0.25, half of the highest that pixels can show. */
  cutoff: finite(0.001, 0.5).default(0.25),
  /** Kernel distance: number of subsets and images in each. Default 20 of 1000. */
  kernel: strictObject({ subsets: whole(2, 10_000).default(20), subsetSize: whole(2).default(1000) }).prefault({}),
  /** Precision and recall: neighbours, and images of each set that are used. Default 3 and 5000. */
  manifold: strictObject({ neighbours: whole(1, 1000).default(3), images: whole(2).default(5000) }).prefault({}),
  /**
   * Groups of images that are left out in turn for the standard error of the Fréchet distance; 0: none. Default 20, for
   * networks of more than 512 features 0: each takes an eigenvalue decomposition.
   */
  errorGroups: whole(0, 1000).optional(),
  /** Told after every part of the work. */
  onProgress: z
    .custom<(event: EvaluationProgress) => void>((value) => typeof value === 'function', { error: 'a function' })
    .optional(),
  /** Ends the run; what is on the disk by then is kept for `resume`. */
  signal: abortSignal().optional(),
});

export interface EvaluationProgress {
  stage: 'reference' | 'sampling' | 'measuring' | 'comparing';
  /** Name of the setting at work; null for the reference. */
  setting: string | null;
  /** Pictures sampled or measured so far, of all settings and the reference, and how many there will be. */
  done: number;
  total: number;
}

export type EvaluateOptions = z.input<typeof evaluateSchema>;
export type EvaluateRequest = z.output<typeof evaluateSchema>;
