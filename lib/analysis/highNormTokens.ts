/**
 * Tokens whose hidden state is long: attention sinks and registers (Xiao et al., arXiv 2309.17453; Darcet et al.,
 * arXiv 2309.16588). A massive channel is strong at most tokens, a high-norm token is long in whatever channels; the
 * two are told apart here by the norm, relative to the median token of the same picture, layer and timestep.
 */
import type { ActivationRecord } from '../activations';
import type { z } from 'zod';

import { AbortError } from '../validation/errors';
import { checkPipeline, invalid } from '../validation/invalid';
import type { Edit } from '../guidance';
import { waitFor } from '../model/abort';
import { parse } from '../validation/parse';
import { describedBy } from '../validation/describedBy';
import { finite, flag, strictObject } from '../validation/vocabulary';

import { blockOutputs, type BlockOutput } from './blocks';
import { chooseConditions, describeConditions } from './conditions';
import type { ActivationSource } from './source';
import { mean, median } from './statistics';
import { trajectoryShape, type TrajectoryOptions } from './trajectoryOptions';

/** What `findHighNormTokens` takes. */
export interface HighNormOptions extends TrajectoryOptions {
  /** Norm from which a token is long, in times the median token's; from 1. Default 3. */
  threshold?: number;
  /** Measure the attention that falls on the tokens, where the attention of a block can be tapped. Default true. */
  attention?: boolean;
}

export const highNormSchema = describedBy<HighNormOptions>()(
  strictObject({ ...trajectoryShape(), threshold: finite(1).default(3), attention: flag().default(true) }),
);

type Request = z.output<typeof highNormSchema>;

/** Where a token is longest. */
export interface LongestNorm {
  /** Index of the block, from 0. */
  layer: number;
  /** Evaluation of the sampler, from 0. */
  step: number;
  /** Its norm over the median token's. */
  ratio: number;
}

/** The longest tokens after one layer. */
export interface LayerNorms {
  /** Index of the block, from 0. */
  layer: number;
  /** The largest ratio of a token's norm to the median token's, at each timestep. */
  ratios: number[];
}

/** A token that is long somewhere, in the trajectory of one set of conditions. */
export interface HighNormToken {
  /** Index into `conditions`. */
  conditions: number;
  /** Row by row of the token grid. */
  token: number;
  /** Norm over the median token's where it is longest. */
  strongest: LongestNorm;
  /** Layers at which it is long, ascending. */
  layers: number[];
  /** Steps at which it is long, ascending. */
  steps: number[];
  /** Share of all layers and steps looked at, 0 to 1. */
  persistence: number;
  /** Attention that falls on it where it is long, in the next block, times what an even spread gives; null if unknown. */
  attention: number | null;
}

/** What `findHighNormTokens` gives. */
export interface HighNormTokens {
  /** The long ones, the longest first. */
  tokens: HighNormToken[];
  /** Norm from which a token is long, in times the median token's. */
  threshold: number;
  /** Stream of the blocks. */
  stream: string;
  /** As the model takes them, in order of evaluation. */
  timesteps: number[];
  /** A few words for each of the conditions. */
  conditions: string[];
  /** The longest tokens after each layer. */
  largest: LayerNorms[];
  /** Says that none were found and how far from the threshold the longest token is, or what is missing. */
  remarks: string[];
  /** Records with NaN or infinite values. */
  nonFinite: number;
}

/** One trajectory: [layer][step] and [block][step]. */
interface Trajectory {
  norms: Map<number, Float32Array[]>;
  masses: Map<number, Float32Array[]>;
}

/**
 * Finds high-norm tokens along conditional trajectories, and follows them over layers and steps.
 *
 * @throws BAD_OPTION, LAYER_OUT_OF_RANGE, SITE_NOT_FOUND, ABORT_ERR and what `generate` throws
 */
export async function findHighNormTokens(
  pipeline: ActivationSource,
  options: HighNormOptions = {},
): Promise<HighNormTokens> {
  checkPipeline(pipeline);
  const request = parse(highNormSchema, options, 'options');
  const outputs = blockOutputs(pipeline.sites, request.stream, request.layers);
  const attentions = request.attention ? attentionPaths(pipeline, outputs) : new Map<string, number>();
  const conditions = chooseConditions(request.conditions, pipeline.bundle);
  const largest = outputs.map(({ layer }) => ({ layer, ratios: [] as number[] }));
  const timesteps: number[] = [];
  const tokens: HighNormToken[] = [];
  let nonFinite = 0;
  for (const [index, condition] of conditions.entries()) {
    if (request.signal?.aborted) throw new AbortError(request.signal.reason);
    const { seed, numInferenceSteps, signal } = request;
    const trajectory: Trajectory = { norms: new Map(), masses: new Map() };
    const records = pipeline.activations({
      generate: { ...condition, seed, numImages: 1, numInferenceSteps, guidance: {} },
      sites: [
        ...outputs.map(({ path, stream }) => ({ path, stream })),
        ...[...attentions.keys()].map((path) => ({ path, tap: 'attention' as const })),
      ],
      statistics: { tokens: true },
      signal,
    });
    for await (const record of records) {
      timesteps[record.step] = record.timestep;
      nonFinite += record.nonFinite;
      keep(trajectory, record, attentions);
    }
    for (const token of follow(trajectory, index, request, timesteps.length)) tokens.push(token);
    for (const { layer, ratios } of largest) {
      trajectory.norms.get(layer)?.forEach((norms, step) => {
        const ratio = relative(norms).reduce((most, value) => Math.max(most, value), 0);
        ratios[step] = Math.max(ratios[step] ?? 0, ratio);
      });
    }
    await waitFor(
      request.onProgress?.({ doing: 'following tokens', fraction: (index + 1) / conditions.length }),
      request.signal,
    );
  }
  return {
    tokens: tokens.sort((a, b) => b.strongest.ratio - a.strongest.ratio),
    threshold: request.threshold,
    stream: request.stream,
    timesteps,
    conditions: conditions.map((condition, index) => describeConditions(condition, index, pipeline.bundle)),
    largest,
    remarks: remark(tokens, largest, attentions, nonFinite, request),
    nonFinite,
  };
}

/**
 * The disruption of high-norm tokens as an intervention of its own: edits for `guidance.branches`, which take their
 * hidden state away after one layer and leave all channels of the other tokens.
 *
 * @param tokens indices in the token grid
 * @param operation zero, or the mean over all tokens. Default mean
 * @throws BAD_OPTION without tokens
 */
export function disruptTokens(tokens: readonly number[], layer: number, operation: 'zero' | 'mean' = 'mean'): Edit[] {
  if (!Array.isArray(tokens) || tokens.length === 0) {
    throw invalid('The tokens to disrupt', 'at least one', tokens);
  }
  return [{ operation, layer, tokens: [...new Set(tokens)].sort((a, b) => a - b) }];
}

/** The attentions of the blocks that follow the watched layers, by the layer before: what reads the hidden state. */
function attentionPaths({ sites }: ActivationSource, outputs: BlockOutput[]): Map<string, number> {
  const paths = new Map<string, number>();
  for (const { layer } of outputs) {
    const next = sites.find(({ tap, block }) => tap === 'output' && block === layer + 1)?.path;
    if (next === undefined) continue;
    const attention = sites.find(({ tap, path }) => tap === 'attention' && path.startsWith(`${next}.`));
    if (attention) paths.set(attention.path, layer);
  }
  return paths;
}

function keep({ norms, masses }: Trajectory, record: ActivationRecord, attentions: Map<string, number>): void {
  const { site, step, tokens, attention } = record;
  const put = (into: Map<number, Float32Array[]>, layer: number, values: Float32Array) => {
    if (!into.has(layer)) into.set(layer, []);
    into.get(layer)![step] = values;
  };
  if (site.tap === 'attention') {
    const layer = attentions.get(site.path);
    if (layer !== undefined && attention) put(masses, layer, attention.mass);
  } else if (tokens && site.block !== null) put(norms, site.block, tokens.norm);
}

/** Norms as multiples of the median token's. */
function relative(norms: Float32Array): Float64Array {
  const middle = median(norms);
  return Float64Array.from(norms, (norm) => (middle > 0 ? norm / middle : 0));
}

function follow({ norms, masses }: Trajectory, conditions: number, request: Request, steps: number): HighNormToken[] {
  const places = new Map<number, { layer: number; step: number; ratio: number; attention: number | null }[]>();
  for (const [layer, bySteps] of norms) {
    bySteps.forEach((values, step) => {
      const mass = masses.get(layer)?.[step];
      relative(values).forEach((ratio, token) => {
        if (ratio < request.threshold) return;
        // Joint attention has more keys than this stream has tokens: their places differ, and nothing is claimed.
        const attention = mass?.length === values.length ? mass[token]! / mean(mass) : null;
        if (!places.has(token)) places.set(token, []);
        places.get(token)!.push({ layer, step, ratio, attention });
      });
    });
  }
  const ascending = (values: number[]) => [...new Set(values)].sort((a, b) => a - b);
  return [...places].map(([token, appearances]) => {
    const { layer, step, ratio } = appearances.reduce((one, other) => (other.ratio > one.ratio ? other : one));
    const attention = appearances.map((place) => place.attention).filter((value) => value !== null);
    return {
      conditions,
      token,
      strongest: { layer, step, ratio },
      layers: ascending(appearances.map((place) => place.layer)),
      steps: ascending(appearances.map((place) => place.step)),
      persistence: appearances.length / (norms.size * steps),
      attention: attention.length > 0 ? mean(attention) : null,
    };
  });
}

function remark(
  tokens: HighNormToken[],
  largest: HighNormTokens['largest'],
  attentions: Map<string, number>,
  nonFinite: number,
  { threshold, attention }: Request,
): string[] {
  const remarks: string[] = [];
  if (tokens.length === 0) {
    const peaks = largest.map(({ layer, ratios }) => ({ layer, ratio: Math.max(0, ...ratios) }));
    const best = peaks.reduce((one, other) => (other.ratio > one.ratio ? other : one));
    remarks.push(
      `No high-norm tokens: the longest, after layer ${best.layer}, is ${best.ratio.toFixed(2)} times the median token; ${threshold} times was asked for.`,
    );
  }
  if (attention && attentions.size === 0)
    remarks.push('No attention of this model can be tapped: the attention that falls on tokens is unknown.');
  if (nonFinite > 0)
    remarks.push(`${nonFinite} values were NaN or infinite; norms that have them are not to be trusted.`);
  return remarks;
}
