/** The options of `pipeline.activations`, `dumpActivations` and `quantisationStatistics`. */
import { z } from 'zod';

import { placeOptions, type Place } from '../guidance';
import { generateSchema, type GenerateOptions } from '../request/generateOptions';
import { describedBy } from '../validation/describedBy';
import { abortSignal, choice, either, finite, flag, list, strictObject, text, whole } from '../validation/vocabulary';

import type { ActivationRecord } from './record';

/** What is computed of a hidden state besides max |z|, mean |z|, median |z| and the variance of each channel. */
export interface StatisticsOptions {
  /** Percentiles of |z| over the tokens, per channel, 0 to 100. Default: none. */
  percentiles?: number[];
  /** L2 norm of every token. Default false. */
  tokens?: boolean;
  /** So many of the strongest values, with their token and channel, up to 100 000. Default 0. */
  top?: number;
}

/** Which hidden states of a sampling run are looked at. */
export interface RecordingOptions {
  /** What is run. Default: the bundle's defaults; a model conditioned by class needs `classLabel`. */
  generate?: GenerateOptions;
  /** Places in the model. Default: the output of every block, in all its streams. SITE_NOT_FOUND, with what is near. */
  sites?: Place[];
  /** Names of branches as `pipeline.plan(…).branches` has them, or 'all'. Default: ['conditional']. BAD_OPTION. */
  branches?: 'all' | string[];
  /** Evaluations of the sampler, from 0. Default: all of them. BAD_OPTION beyond the last. */
  steps?: number[];
  /** Ends the run within one evaluation of the model; reading then rejects with an AbortError. */
  signal?: AbortSignal;
}

/** What `pipeline.activations` takes. */
export interface ActivationOptions extends RecordingOptions {
  /** Statistics per channel, and what is asked for besides. Default true. BAD_OPTION for false without `tensors`. */
  statistics?: boolean | StatisticsOptions;
  /** Whole hidden states. Default false. */
  tensors?: boolean;
  /** Of whole hidden states. Default 'float32'. */
  dtype?: 'float32' | 'float16' | 'bfloat16';
  /** At a site that the branch edits, what arrives there and not what leaves it. Default false. */
  beforeEdits?: boolean;
}

/** What `pipeline.dumpActivations` takes. */
export interface DumpOptions extends ActivationOptions {
  /** Folder that does not exist yet; the folder it is in does. OUTPUT_EXISTS, OUTPUT_UNWRITABLE. */
  out: string;
  /** Bytes of tensors in a file before the next one begins. What is in memory is bounded by them. Default 64 MiB. */
  shardBytes?: number;
  /** Called with every record, after it was taken up; a promise that it returns is waited for. */
  onRecord?: (record: ActivationRecord) => unknown;
}

/** What `pipeline.quantisationStatistics` takes. */
export interface QuantisationOptions extends RecordingOptions {
  /** Of |z| over the tokens, per channel, 0 to 100. Default [99, 99.9]. */
  percentiles?: number[];
}

const percentiles = list(finite(0, 100), 'a list of percentiles from 0 to 100');

const statisticsSchema = describedBy<StatisticsOptions>()(
  strictObject({
    percentiles: percentiles.optional(),
    tokens: flag().default(false),
    top: whole(0, 100_000).default(0),
  }),
);

const recording = {
  generate: generateSchema.prefault({}),
  sites: list(
    describedBy<Place>()(strictObject(placeOptions)),
    'a list of places { layer or path, tap?, stream? }',
  ).optional(),
  branches: either([z.literal('all'), list(text(), 'a list of names')], "a list of branch names, or 'all'").default([
    'conditional',
  ]),
  steps: list(whole(0), 'a list of steps from 0').optional(),
  signal: abortSignal().optional(),
};

const activation = {
  ...recording,
  statistics: either([flag(), statisticsSchema], 'true, false or an object of statistics').default(true),
  tensors: flag().default(false),
  dtype: choice(['float32', 'float16', 'bfloat16']).default('float32'),
  beforeEdits: flag().default(false),
};

export const activationSchema = describedBy<ActivationOptions>()(strictObject(activation));

export const dumpSchema = describedBy<DumpOptions>()(
  strictObject({
    ...activation,
    out: text('the path of a folder that does not exist yet'),
    shardBytes: whole(1, 2 ** 31).default(64 * 2 ** 20),
    onRecord: z
      .custom<(record: ActivationRecord) => unknown>((value) => typeof value === 'function', { error: 'a function' })
      .optional(),
  }),
);

export const quantisationSchema = describedBy<QuantisationOptions>()(
  strictObject({ ...recording, percentiles: percentiles.default([99, 99.9]) }),
);

export type ActivationRequest = z.output<typeof activationSchema>;
