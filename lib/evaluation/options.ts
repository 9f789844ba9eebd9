/** The options of `evaluate`. */
import { z } from 'zod';

import { guidanceSchema, presetNames, type GuidanceOptions, type PresetName } from '../guidance';
import { generateSchema, type GenerateOptions } from '../request/generateOptions';
import type { SchedulerChanges } from '../schedule';
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

import { networkSchema, type NetworkOptions } from './network';

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

/** A guidance that pictures are made under. */
export interface EvaluationSetting {
  /** Names the setting's folder: letters, digits, '.', '_', '-'; up to 100; not 'reference', 'result.json', 'evaluation.json'. */
  name: string;
  /** As `generate` takes it. Default: the bundle's. */
  guidance?: GuidanceOptions | PresetName;
}

/** Kernel distance. */
export interface KernelDistanceOptions {
  /** Subsets it is a mean over, from 2 to 10 000. Default 20. */
  subsets?: number;
  /** Images of each set in a subset, from 2. Default 1000; as many as there are, if fewer. */
  subsetSize?: number;
}

/** Precision and recall. */
export interface ManifoldOptions {
  /** Neighbours that make the manifold, from 1 to 1000. Default 3. */
  neighbours?: number;
  /** Images of each set that are used, from 2: the first ones. Default 5000; as many as the smaller set has, if fewer. */
  images?: number;
}

/** How far an evaluation is. */
export interface EvaluationProgress {
  /** What is being done. */
  stage: 'reference' | 'sampling' | 'measuring' | 'comparing';
  /** Name of the setting at work; null for the reference. */
  setting: string | null;
  /** Pictures sampled or measured so far, of all settings and the reference. */
  done: number;
  /** Pictures in all. */
  total: number;
}

/** What `evaluate` and `runInterventions` both take. */
export interface SampledPictureOptions {
  /** Picture i is made from seed + i; a whole number from 0. Default 0. */
  seed?: number;
  /** Steps of the sampler, up to 1000. Default: the bundle's. */
  numInferenceSteps?: number;
  /**
   * What is in the pictures `first` to before `first + count`, as `generate` takes it. Default, for models conditioned by
   * class: all classes in turn, picture i of class i modulo their number. BAD_OPTION without it for other models.
   */
  request?: (first: number, count: number) => PictureRequest | Promise<PictureRequest>;
  /** Pictures in one evaluation of a model or network, from 1 to 4096. Default 50. */
  batchSize?: number;
  /** Where high frequencies begin, in cycles per pixel, 0.001 to 0.5. Default 0.25, half of the highest that pixels can show. */
  cutoff?: number;
  /** Classifier, by its file or with more, whose classes are the bundle's. Default: the one of the bundle; null: none. */
  classifier?: string | NetworkOptions | null;
}

/** What `evaluate` takes. */
export interface EvaluateOptions extends SampledPictureOptions {
  /** Folder for samples, measurements and `result.json`. New, unless `resume`. OUTPUT_EXISTS; OUTPUT_UNWRITABLE. */
  out: string;
  /** Go on with what is in `out`; it has to have been begun with the same options. Default false. */
  resume?: boolean;
  /** Pictures that the generated ones are compared with; see `openPictures`. */
  reference: string;
  /** Feature network, by its file or with more. Default: the one of the bundle (`classifier.features`). */
  features?: string | NetworkOptions;
  /** Guidances that are compared, on the same seeds; differences are to the first. Default: one, the bundle's own. */
  settings?: EvaluationSetting[];
  /** Generated pictures of each setting, from 2 to 10 000 000. Default 1000. */
  samples?: number;
  /** Options of the sampler that differ from the bundle's. */
  scheduler?: SchedulerChanges;
  /** Kernel distance. */
  kernel?: KernelDistanceOptions;
  /** Precision and recall. */
  manifold?: ManifoldOptions;
  /**
   * Groups of images that are left out in turn for the standard error of the Fréchet distance, up to 1000; 0: none. Default
   * 20, for networks of more than 512 features 0: each takes an eigenvalue decomposition.
   */
  errorGroups?: number;
  /** Called after every part of the work. */
  onProgress?: (event: EvaluationProgress) => unknown;
  /** Ends the run with an AbortError; what is on the disk by then is kept for `resume`. */
  signal?: AbortSignal;
}

const settingSchema = strictObject({
  name: z
    .string({ error: "a name of letters, digits, '.', '_' and '-'" })
    .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/, "a name of letters, digits, '.', '_' and '-'"),
  guidance: either(
    [guidanceSchema, choice(presetNames)],
    'an object of techniques, or the name of a preset',
  ).optional(),
});

/** What both calls take. @param mostSeed so that the last picture's seed is exact, too */
export function sampledPictureShape(mostSeed: number) {
  return {
    seed: whole(0, mostSeed).default(0),
    numInferenceSteps: whole(1, 1000).optional(),
    request: z
      .custom<(first: number, count: number) => PictureRequest | Promise<PictureRequest>>(
        (value) => typeof value === 'function',
        { error: 'a function' },
      )
      .optional(),
    batchSize: whole(1, 4096).default(50),
    cutoff: finite(0.001, 0.5).default(0.25),
    classifier: networkOption.nullable().optional(),
    signal: abortSignal().optional(),
  };
}

export const evaluateSchema = describedBy<EvaluateOptions>()(
  strictObject({
    ...sampledPictureShape(Number.MAX_SAFE_INTEGER - 20_000_000),
    out: text('the path of a folder'),
    resume: flag().default(false),
    reference: text('the path of a folder of pictures, or of an .npy or .safetensors file,'),
    features: networkOption.optional(),
    settings: list(settingSchema, 'a list of { name, guidance }').optional(),
    samples: whole(2, 10_000_000).default(1000),
    scheduler: generateSchema.shape.scheduler,
    kernel: strictObject({ subsets: whole(2, 10_000).default(20), subsetSize: whole(2).default(1000) }).prefault({}),
    manifold: strictObject({ neighbours: whole(1, 1000).default(3), images: whole(2).default(5000) }).prefault({}),
    errorGroups: whole(0, 1000).optional(),
    onProgress: callback<EvaluationProgress>().optional(),
  }),
);

export type EvaluateRequest = z.output<typeof evaluateSchema>;
