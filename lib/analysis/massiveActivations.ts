/**
 * Finds a model's massive activations: the few channels of the residual stream that dwarf the others at most tokens
 * (Gan et al., arXiv 2510.11538). Windows of trajectories are run until the massive channels of every layer stay the
 * same, as SPARK does it: a running mean (λ = 0.95), ended when the mean Jaccard index of 4 windows reaches 0.9.
 */
import type { z } from 'zod';

import { AbortError } from '../validation/errors';
import { waitFor } from '../model/abort';
import { checkPipeline } from '../validation/invalid';
import { parse } from '../validation/parse';
import { describedBy } from '../validation/describedBy';
import { finite, flag, strictObject, whole } from '../validation/vocabulary';

import { blockOutputs, type BlockOutput } from './blocks';
import { ChannelMeans } from './channelMeans';
import { chooseConditions, describeConditions, type Conditions } from './conditions';
import type { MassiveChannel, LayerFinding, MassiveActivations } from './massiveFindings';
import { describeRule, judgeLayer, massiveTimesteps, rankChannels, type MassiveRule } from './massiveRule';
import type { AnalysisProgress } from './analysisProgress';
import type { ActivationSource } from './source';
import { jaccard, mean, meanJaccard, strongestFirst } from './statistics';
import { suggestLayer } from './suggestLayer';
import { trajectoryShape, type TrajectoryOptions } from './trajectoryOptions';

/** What `findMassiveActivations` takes. `seed` is that of the first window; the next one takes the next. */
export interface MassiveActivationsOptions extends TrajectoryOptions {
  /**
   * Strength from which a channel is massive, in times the median channel's; from 1. Default 3: the strongest channel of an
   * untrained model reaches 1.4.
   */
  threshold?: number;
  /**
   * Least share of the strength of the strongest channel of the same layer and timestep, 0 to 1. Default 0.1; it matters
   * where that has thirty or more.
   */
  share?: number;
  /** Share of the timesteps at which a channel has to pass, 0 to 1. Default 0.5. */
  timesteps?: number;
  /** λ, what a window leaves of the running mean, 0 to 0.9999. Default 0.95. */
  runningMean?: number;
  /** Stop when the mean Jaccard index of the last `windows` windows is at least this, 0 to 1. Default 0.9. */
  agreement?: number;
  /** Windows that have to agree, from 1 to 1000. Default 4. */
  windows?: number;
  /** Give up after so many windows, from 2 to 10 000. Default 16. */
  maximumWindows?: number;
  /** Look for the layer to disrupt by disrupting each of those that have massive channels. Default true. */
  suggest?: boolean;
  /** Called after every trajectory with the share of `maximumWindows` that is done; the stop rule may end it early. */
  onProgress?: (event: AnalysisProgress) => unknown;
}

export const massiveActivationsSchema = describedBy<MassiveActivationsOptions>()(
  strictObject({
    ...trajectoryShape(),
    threshold: finite(1).default(3),
    share: finite(0, 1).default(0.1),
    timesteps: finite(0, 1).default(0.5),
    runningMean: finite(0, 0.9999).default(0.95),
    agreement: finite(0, 1).default(0.9),
    windows: whole(1, 1000).default(4),
    maximumWindows: whole(2, 10_000).default(16),
    suggest: flag().default(true),
  }),
);

type Request = z.output<typeof massiveActivationsSchema>;

/**
 * Looks for massive activations along the conditional trajectories of a model, without guidance.
 *
 * @throws BAD_OPTION, LAYER_OUT_OF_RANGE, SITE_NOT_FOUND, CLASS_OUT_OF_RANGE, ABORT_ERR and what `generate` throws
 */
export async function findMassiveActivations(
  pipeline: ActivationSource,
  options: MassiveActivationsOptions = {},
): Promise<MassiveActivations> {
  checkPipeline(pipeline);
  const request = parse(massiveActivationsSchema, options, 'options');
  const { bundle } = pipeline;
  const outputs = blockOutputs(pipeline.sites, request.stream, request.layers);
  const conditions = chooseConditions(request.conditions, bundle);
  const { table, timesteps, agreement } = await collect(pipeline, outputs, conditions, request);
  const layers = outputs.map((output, place) => describeLayer(output, place, table, timesteps, request));
  const candidates = layers.filter(({ channels }) => channels.length > 0);
  const { suggested, effects } = await suggestLayer(pipeline, candidates, conditions, request);
  const recorded = lookUpRecorded(bundle, layers, request.stream);
  return {
    found: candidates.length > 0,
    suggested,
    layers,
    recorded,
    effects,
    stream: request.stream,
    timesteps,
    conditions: conditions.map((condition, index) => describeConditions(condition, index, bundle)),
    seeds: table.byWindow.map((_, window) => request.seed + window),
    stable: agrees(agreement, request),
    agreement,
    rule: describeRule(request),
    threshold: request.threshold,
    remarks: [...remark(layers, agreement, table, request), ...remarkRecorded(recorded)],
    nonFinite: table.nonFinite,
  };
}

async function collect(
  pipeline: ActivationSource,
  outputs: BlockOutput[],
  conditions: Conditions[],
  request: Request,
): Promise<{ table: ChannelMeans; timesteps: number[]; agreement: number[] }> {
  const { hiddenChannels } = pipeline.bundle.transformer;
  const timesteps: number[] = [];
  const agreement: number[] = [];
  let table: ChannelMeans | undefined;
  let before: number[][] | undefined;
  for (let window = 0; window < request.maximumWindows; window++) {
    for (const [index, condition] of conditions.entries()) {
      if (request.signal?.aborted) throw new AbortError(request.signal.reason);
      const generate = {
        ...condition,
        seed: request.seed + window,
        numImages: 1,
        numInferenceSteps: request.numInferenceSteps,
        guidance: {},
      };
      const steps = pipeline.plan(generate).steps;
      table ??= new ChannelMeans(
        {
          layers: outputs.map(({ layer }) => layer),
          steps: steps.length,
          channels: hiddenChannels,
          conditions: conditions.length,
        },
        request.runningMean,
      );
      steps.forEach(({ timestep }, step) => (timesteps[step] = timestep));
      const records = pipeline.activations({
        generate,
        sites: outputs.map(({ path, stream }) => ({ path, stream })),
        statistics: true,
        signal: request.signal,
      });
      for await (const record of records) table.add(record, index);
      await waitFor(
        request.onProgress?.({
          doing: `window ${window + 1}`,
          fraction: (window * conditions.length + index + 1) / (request.maximumWindows * conditions.length),
        }),
        request.signal,
      );
    }
    table!.endWindow();
    const sets = table!.means.map((at, place) => judgeLayer(at, table!.medians[place]!, request).massive);
    if (before) agreement.push(mean(sets.map((set, place) => jaccard(set, before![place]!))));
    before = sets;
    if (agrees(agreement, request)) break;
  }
  return { table: table!, timesteps, agreement };
}

/** The stop rule: the last windows agree on average. */
function agrees(agreement: number[], request: Request): boolean {
  return agreement.length >= request.windows && mean(agreement.slice(-request.windows)) >= request.agreement;
}

/** A channel counts when it passes over all windows, and in half of the seeds and half of the conditions alone. */
const persistence = 0.5;

function describeLayer(
  { layer, path }: BlockOutput,
  place: number,
  table: ChannelMeans,
  timesteps: number[],
  rule: MassiveRule,
): LayerFinding {
  const medians = table.medians[place]!;
  const { massive, atSingleTokens, strengths, spreads, strength, order } = judgeLayer(
    table.means[place]!,
    medians,
    rule,
  );
  const passing = massiveTimesteps(strengths, rule);
  // The spread is a property of the channel; it is judged over everything that was seen.
  const alone = (grids: Float64Array[][][]) => grids.map((grid) => judgeLayer(grid[place]!, medians, rule).massive);
  const [bySeed, byConditions] = [alone(table.byWindow), alone(table.byConditions)];
  const shareOf = (sets: number[][], channel: number) => mean(sets.map((set) => Number(set.includes(channel))));
  const channels = massive
    .map((channel): MassiveChannel => {
      const peak = strongestFirst(strengths.map((at) => at[channel]!))[0]!;
      return {
        channel,
        strength: strength[channel]!,
        peak: { timestep: timesteps[peak]!, strength: strengths[peak]![channel]! },
        timesteps: passing[channel]!.length / timesteps.length,
        spread: mean(spreads.map((at) => at[channel]!)),
        seeds: shareOf(bySeed, channel),
        conditions: shareOf(byConditions, channel),
      };
    })
    .filter(({ seeds, conditions }) => seeds >= persistence && conditions >= persistence);
  const topOf = (grids: Float64Array[][][]) =>
    grids.map((grid) => rankChannels(grid[place]!).slice(0, channels.length));
  return {
    layer,
    path,
    channels,
    strongest: { channel: order[0]!, strength: strengths.map((at) => at[order[0]!]!) },
    atSingleTokens,
    unstable: massive.filter((channel) => channels.every((entry) => entry.channel !== channel)),
    stability: {
      acrossConditions: meanJaccard(topOf(table.byConditions)),
      acrossSeeds: meanJaccard(topOf(table.byWindow)),
    },
    channelMeans: table.means[place]!.map((at) => Array.from(at)),
  };
}

function lookUpRecorded(
  { massiveActivations }: ActivationSource['bundle'],
  layers: LayerFinding[],
  stream: string,
): MassiveActivations['recorded'] {
  if (massiveActivations?.stream !== stream) return null;
  const where = (channel: number) =>
    layers
      .filter((entry) => entry.channels.some((candidate) => candidate.channel === channel))
      .map(({ layer }) => layer);
  return {
    source: massiveActivations.source ?? null,
    channels: massiveActivations.channels.map((channel) => ({ channel, layers: where(channel) })),
  };
}

/** Whether what the bundle says of itself is so. */
function remarkRecorded(recorded: MassiveActivations['recorded']): string[] {
  if (!recorded) return [];
  const sentences = recorded.channels.map(({ channel, layers }) =>
    layers.length > 0 ? `${channel} is massive after layers ${layers.join(', ')}` : `${channel} is not massive here`,
  );
  return [`Recorded in the bundle (${recorded.source ?? 'without a source'}): ${sentences.join('; ')}.`];
}

function remark(layers: LayerFinding[], agreement: number[], table: ChannelMeans, request: Request): string[] {
  const remarks: string[] = [];
  const { threshold } = request;
  if (layers.every(({ channels }) => channels.length === 0)) {
    const peaks = layers.map(({ layer, strongest }) => ({
      layer,
      ...strongest,
      peak: Math.max(...strongest.strength),
    }));
    const best = peaks.reduce((one, other) => (other.peak > one.peak ? other : one));
    const passing = best.strength.filter((strength) => strength >= threshold).length;
    remarks.push(
      `No massive activations: the strongest channel, ${best.channel} after layer ${best.layer}, has at most ` +
        `${best.peak.toFixed(2)} times the median channel's magnitude, and ${threshold} times at ${passing} of ` +
        `${best.strength.length} timesteps; ${threshold} times, at a share of ${request.timesteps} of the timesteps and at ` +
        `most tokens, would make it massive.`,
    );
  }
  const unstable = layers.filter((layer) => layer.unstable.length > 0);
  if (unstable.length > 0) {
    remarks.push(
      `Not counted, since they pass under fewer than half of the seeds or of the conditions alone: ` +
        `${unstable.map((layer) => `${layer.unstable.join(', ')} after layer ${layer.layer}`).join('; ')}.`,
    );
  }
  const single = layers.filter(({ atSingleTokens }) => atSingleTokens.length > 0);
  if (single.length > 0) {
    remarks.push(
      `Channels ${[...new Set(single.flatMap(({ atSingleTokens }) => atSingleTokens))].join(', ')} are strong at few tokens only ` +
        `(layers ${single.map(({ layer }) => layer).join(', ')}): high-norm tokens, not massive channels; findHighNormTokens looks for those.`,
    );
  }
  if (!agrees(agreement, request)) {
    const last = agreement.slice(-request.windows);
    remarks.push(
      `The massive channels did not settle within ${table.byWindow.length} windows: their mean Jaccard index over the last ` +
        `${last.length} is ${last.length > 0 ? mean(last).toFixed(3) : 'unknown'}, ${request.agreement} over ${request.windows} was asked for.`,
    );
  }
  if (table.nonFinite.length > 0) {
    const values = table.nonFinite.reduce((sum, { count }) => sum + count, 0);
    const where = [...new Set(table.nonFinite.map(({ layer }) => layer))].sort((a, b) => a - b);
    remarks.push(
      `${values} values after layers ${where.join(', ')} were NaN or infinite; what they belong to was left out, and the rest may mislead.`,
    );
  }
  return remarks;
}
