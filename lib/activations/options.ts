/** The options of `pipeline.activations`, `dumpActivations` and `quantisationStatistics`. */
import { z } from 'zod';

import type { ActivationRecord } from './record';

import { taps } from '../guidance';
import { generateSchema } from '../request/generateOptions';
import { abortSignal, choice, either, finite, flag, list, strictObject, text, whole } from '../validation/vocabulary';

const siteSchema = strictObject({
  /** Path pattern of submodules: `blocks.3`; `*` is one component, `**` any number of them. */
  path: text(),
  /** Default output. */
  tap: taps.default('output'),
  /** Default: every stream. */
  stream: text().optional(),
});

const statisticsSchema = strictObject({
  /** Percentiles of |z| over the tokens, per channel, 0 to 100. Default: none. */
  percentiles: list(finite(0, 100), 'a list of percentiles from 0 to 100').optional(),
  /** L2 norm of every token. Default false. */
  tokens: flag().default(false),
  /** So many of the strongest values, with their token and channel. Default 0. */
  top: whole(0, 100_000).default(0),
});

const shape = {
  /** What is run. Default: the bundle's defaults; a model conditioned by class needs `classLabel`. */
  generate: generateSchema.prefault({}),
  /** Default: the output of every block, in all its streams. */
  sites: list(siteSchema, 'a list of sites { path, tap?, stream? }').optional(),
  /** Names of branches as `pipeline.plan(…).branches` has them, or 'all'. Default: the conditional one. */
  branches: either([z.literal('all'), list(text(), 'a list of names')], "a list of branch names, or 'all',").default([
    'conditional',
  ]),
  /** Evaluations of the sampler, from 0. Default: all of them. */
  steps: list(whole(0), 'a list of steps from 0').optional(),
  /** Per channel: max |z|, mean |z|, median |z|, variance of z; and what is asked for besides. Default true. */
  statistics: either([flag(), statisticsSchema], 'true, false or an object of statistics').default(true),
  /** Whole hidden states. Default false. */
  tensors: flag().default(false),
  /** Of whole hidden states. Default float32. */
  dtype: choice(['float32', 'float16', 'bfloat16']).default('float32'),
  /** At a site that the branch edits, what arrives there and not what leaves it. Default false. */
  beforeEdits: flag().default(false),
  signal: abortSignal().optional(),
};

export const activationSchema = strictObject(shape);

export const dumpSchema = strictObject({
  ...shape,
  /** Folder that does not exist yet; the folder it is in does. */
  out: text('the path of a folder that does not exist yet'),
  /** Bytes of tensors in a file before the next one begins. What is in memory is bounded by them. Default 64 MiB. */
  shardBytes: whole(1, 2 ** 31).default(64 * 2 ** 20),
  /** Called with every record, after it was taken up; a promise that it returns is waited for. */
  onRecord: z
    .custom<(record: ActivationRecord) => unknown>((value) => typeof value === 'function', { error: 'a function' })
    .optional(),
});

export const quantisationSchema = strictObject({
  generate: shape.generate,
  sites: shape.sites,
  branches: shape.branches,
  steps: shape.steps,
  /** Of |z| over the tokens, per channel. Default 99, 99.9. */
  percentiles: list(finite(0, 100), 'a list of percentiles from 0 to 100').default([99, 99.9]),
  signal: shape.signal,
});

/** What `pipeline.activations` takes. */
export type ActivationOptions = z.input<typeof activationSchema>;
export type ActivationRequest = z.output<typeof activationSchema>;
/** What `pipeline.dumpActivations` takes. */
export type DumpOptions = z.input<typeof dumpSchema>;
/** What `pipeline.quantisationStatistics` takes. */
export type QuantisationOptions = z.input<typeof quantisationSchema>;
