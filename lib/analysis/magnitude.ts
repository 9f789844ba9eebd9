/**
 * What sets the magnitude of massive activations: the timestep, or what is drawn? Gan et al. (arXiv 2510.11538) say the
 * timestep. Traced along conditional trajectories from the same seeds: magnitude against timestep for fixed
 * conditions, against conditions for a fixed timestep, and the variance that each explains.
 */
import { AbortError } from '../validation/errors';
import { checkPipeline, invalid } from '../validation/invalid';
import { waitFor } from '../model/abort';
import { parse } from '../validation/parse';
import { describedBy } from '../validation/describedBy';
import { list, strictObject, whole } from '../validation/vocabulary';

import { varianceShares } from './anova';
import { blockOutputs } from './blocks';
import { chooseConditions, describeConditions } from './conditions';
import type { ActivationSource } from './source';
import { lowerMedian, mean } from './statistics';
import { trajectoryShape, type TrajectoryOptions } from './trajectoryOptions';

/** What `traceMagnitude` takes. */
export interface MagnitudeOptions extends TrajectoryOptions {
  /**
   * Channels whose magnitude is traced. Default: the massive activations that the bundle records; BAD_OPTION without any.
   * CHANNEL_OUT_OF_RANGE.
   */
  channels?: number[];
  /** How many seeds follow from `seed`; every condition meets every seed. From 1 to 1000. Default 3. */
  seeds?: number;
}

export const magnitudeSchema = describedBy<MagnitudeOptions>()(
  strictObject({
    ...trajectoryShape(2),
    channels: list(whole(0), 'a list of channels').optional(),
    seeds: whole(1, 1000).default(3),
  }),
);

/** Shares of the magnitude's total sum of squares (η², 0 to 1), by what they are put down to. */
export interface ExplainedVariance {
  /** The timestep. */
  timestep: number;
  /** What the model is conditioned on. */
  conditions: number;
  /** Timestep and conditions together, beyond each alone. */
  both: number;
  /** What is left: the seeds. */
  seeds: number;
}

/** The magnitude of channels after one layer. */
export interface LayerMagnitude {
  /** Index of the block, from 0. */
  layer: number;
  /** Path of the block in the model. */
  path: string;
  /** Mean of |z| over tokens and channels, [timestep][conditions][seed]. */
  magnitude: number[][][];
  /** Mean of |z| of each channel over tokens, conditions and seeds, [timestep][channel as in `channels`]. */
  byChannel: number[][];
  /** Of the median channel, [timestep]: what the magnitude is to be compared with. */
  median: number[];
  /** Shares of the magnitude's total sum of squares (η²). */
  explained: ExplainedVariance;
}

/** The magnitude of channels over layers, timesteps, conditions and seeds. */
export interface MagnitudeTrace {
  /** Channels that were traced. */
  channels: number[];
  /** Stream of the blocks. */
  stream: string;
  /** As the model takes them, in order of evaluation. */
  timesteps: number[];
  /** A few words for each of the conditions. */
  conditions: string[];
  /** Seeds of the noises. */
  seeds: number[];
  /** In the order of the model. */
  layers: LayerMagnitude[];
  /** Records with NaN or infinite values: their values are null in JSON and make `explained` NaN. */
  nonFinite: number;
}

/**
 * Traces the magnitude of channels over layers, timesteps, conditions and seeds.
 *
 * @throws BAD_OPTION when no channels are given and the bundle records none; CHANNEL_OUT_OF_RANGE, LAYER_OUT_OF_RANGE,
 *   SITE_NOT_FOUND, ABORT_ERR and what `generate` throws
 */
export async function traceMagnitude(
  pipeline: ActivationSource,
  options: MagnitudeOptions = {},
): Promise<MagnitudeTrace> {
  checkPipeline(pipeline);
  const request = parse(magnitudeSchema, options, 'options');
  const { bundle } = pipeline;
  const channels = chooseTracedChannels(request.channels, bundle);
  const outputs = blockOutputs(pipeline.sites, request.stream, request.layers);
  const places = new Map(outputs.map(({ layer }, place) => [layer, place]));
  const conditions = chooseConditions(request.conditions, bundle);
  const layers = outputs.map(({ layer, path }): Omit<LayerMagnitude, 'explained'> => {
    return { layer, path, magnitude: [], byChannel: [], median: [] };
  });
  const timesteps: number[] = [];
  const runs = conditions.length * request.seeds;
  let nonFinite = 0;
  for (let seed = 0; seed < request.seeds; seed++) {
    for (const [index, condition] of conditions.entries()) {
      if (request.signal?.aborted) throw new AbortError(request.signal.reason);
      const { numInferenceSteps, signal } = request;
      const records = pipeline.activations({
        generate: { ...condition, seed: request.seed + seed, numImages: 1, numInferenceSteps, guidance: {} },
        sites: outputs.map(({ path, stream }) => ({ path, stream })),
        statistics: true,
        signal,
      });
      for await (const { site, step, timestep, channels: statistics, nonFinite: bad } of records) {
        const at = layers[places.get(site.block!)!];
        if (!at || !statistics) continue;
        nonFinite += bad;
        timesteps[step] = timestep;
        const values = channels.map((channel) => statistics.mean[channel]!);
        ((at.magnitude[step] ??= [])[index] ??= [])[seed] = mean(values);
        const sums = (at.byChannel[step] ??= channels.map(() => 0));
        values.forEach((value, place) => (sums[place]! += value / runs));
        at.median[step] = (at.median[step] ?? 0) + lowerMedian(statistics.mean) / runs;
      }
      await waitFor(
        request.onProgress?.({
          doing: 'tracing magnitudes',
          fraction: (seed * conditions.length + index + 1) / runs,
        }),
        request.signal,
      );
    }
  }
  return {
    channels,
    stream: request.stream,
    timesteps,
    conditions: conditions.map((condition, index) => describeConditions(condition, index, bundle)),
    seeds: Array.from({ length: request.seeds }, (_, index) => request.seed + index),
    layers: layers.map((layer) => ({ ...layer, explained: explain(layer.magnitude) })),
    nonFinite,
  };
}

function explain(magnitude: number[][][]): LayerMagnitude['explained'] {
  const { first, second, interaction, residual } = varianceShares(magnitude);
  return { timestep: first, conditions: second, both: interaction, seeds: residual };
}

/** The given channels, or the bundle's. @throws BAD_OPTION, CHANNEL_OUT_OF_RANGE */
export function chooseTracedChannels(
  chosen: readonly number[] | undefined,
  { massiveActivations, transformer }: ActivationSource['bundle'],
): number[] {
  const channels = chosen ?? massiveActivations?.channels;
  if (!channels) {
    throw invalid('options.channels', 'channel numbers, as findMassiveActivations gives them', undefined, {
      note: 'this bundle records no massive activations',
    });
  }
  const beyond = channels.find((channel) => channel >= transformer.hiddenChannels);
  if (beyond === undefined) return [...channels];
  throw invalid('options.channels', `channels from 0 to ${transformer.hiddenChannels - 1}`, beyond, {
    code: 'CHANNEL_OUT_OF_RANGE',
  });
}
