/**
 * Residual gates against massive activations. Gan et al. (arXiv 2510.11538) find that the massive channels are those
 * where the gate α of z' = z + α · D(z, t, c) spikes. Which of a block's gates they mean is not said: all are traced.
 */
import type { ActivationRecord } from '../activations';
import { z } from 'zod';

import { AbortError } from '../validation/errors';
import { waitFor } from '../model/abort';
import { checkPipeline } from '../validation/invalid';
import { parse } from '../validation/parse';
import { describedBy } from '../validation/describedBy';
import { list, strictObject, text, whole } from '../validation/vocabulary';
import { toFloat32 } from '../tensor';

import { blockOutputs } from './blocks';
import { chooseConditions, describeConditions } from './conditions';
import { findModulations, type ModulationSite } from './gateSites';
import { chooseTracedChannels } from './magnitude';
import type { ActivationSource } from './source';
import { mean, spearman, strongestFirst } from './statistics';
import { trajectoryShape, type TrajectoryOptions } from './trajectoryOptions';

/** What `traceGates` takes. */
export interface GateOptions extends TrajectoryOptions {
  /** Channels that the gates are compared with, the same after every layer. Default: the bundle's. CHANNEL_OUT_OF_RANGE. */
  channels?: number[];
  /** Or other ones by layer, as `findMassiveActivations` gives them: `{ 5: [51, 89, 121] }`. */
  channelsByLayer?: Record<string, number[]>;
  /**
   * Path, relative to a block, of the module that gives its gates. Default: those of the families that are exported.
   * SITE_NOT_FOUND.
   */
  modulation?: string;
}

export const gatesSchema = describedBy<GateOptions>()(
  strictObject({
    ...trajectoryShape(),
    channels: list(whole(0), 'a list of channels').optional(),
    channelsByLayer: z
      .record(z.string().regex(/^\d+$/), z.array(whole(0)), { error: 'an object of channel lists by layer' })
      .optional(),
    modulation: text().optional(),
  }),
);

/** One residual gate of one block, compared with the channels after the block. */
export interface GateTrace {
  /** Index of the block, from 0. */
  layer: number;
  /** Path of the module that gives the gate. */
  path: string;
  /** What it gates: 'attention', 'mlp', or 'block' for one gate of both. */
  branch: string;
  /** |α| of each channel, mean over conditions and timesteps. */
  gate: number[];
  /** Mean |z| of each channel after the block, over tokens, conditions and timesteps. */
  activation: number[];
  /** The massive channels it is compared with. */
  massive: number[];
  /** Share of the massive channels that are among as many channels with the largest |α|; null without any. */
  overlap: number | null;
  /** What channels drawn at random would give: their share of all channels. */
  chance: number;
  /** Rank of each massive channel by |α|, 1 the largest. */
  ranks: number[];
  /** Spearman's rank correlation of |α| with |z| over the channels, of the means. */
  correlation: number;
  /** The same at each timestep. */
  correlationByTimestep: number[];
}

/** What `traceGates` gives. */
export interface GatesTrace {
  /** Stream of the blocks. */
  stream: string;
  /** As the model takes them, in order of evaluation. */
  timesteps: number[];
  /** A few words for each of the conditions. */
  conditions: string[];
  /** Every gate of every block. */
  gates: GateTrace[];
}

interface Sums {
  site: ModulationSite;
  /** [gate][timestep][channel], and of the activations [timestep][channel]. */
  gates: Float64Array[][];
  activations: Float64Array[];
}

/**
 * Compares the residual gates of every block with the channels of the hidden state after it.
 *
 * @throws SITE_NOT_FOUND when a block's modulation is not found; BAD_OPTION, LAYER_OUT_OF_RANGE, CHANNEL_OUT_OF_RANGE,
 *   ABORT_ERR and what `generate` throws
 */
export async function traceGates(pipeline: ActivationSource, options: GateOptions = {}): Promise<GatesTrace> {
  checkPipeline(pipeline);
  const request = parse(gatesSchema, options, 'options');
  const { bundle } = pipeline;
  const { hiddenChannels } = bundle.transformer;
  const byLayer = request.channelsByLayer;
  const channels = byLayer ? [] : chooseTracedChannels(request.channels, bundle);
  const blocks = blockOutputs(pipeline.sites, request.stream, request.layers);
  const shapes = await pipeline.shapes(request.signal);
  const sites = findModulations(pipeline.sites, shapes, blocks, hiddenChannels, request.modulation);
  const conditions = chooseConditions(request.conditions, bundle);
  const sums = sites.map((site): Sums => ({ site, gates: site.gates.map(() => []), activations: [] }));
  const timesteps: number[] = [];
  for (const [index, condition] of conditions.entries()) {
    if (request.signal?.aborted) throw new AbortError(request.signal.reason);
    const { seed, numInferenceSteps, signal } = request;
    const generate = { ...condition, seed, numImages: 1, numInferenceSteps, guidance: {} };
    // Apart: whole tensors of the narrow modulations, statistics alone of the wide hidden states.
    const modulations = pipeline.activations({
      generate,
      sites: sites.map(({ path }) => ({ path })),
      statistics: false,
      tensors: true,
      signal,
    });
    for await (const record of modulations) addGates(sums, record, hiddenChannels);
    const outputs = blocks.map(({ path, stream }) => ({ path, stream }));
    for await (const record of pipeline.activations({ generate, sites: outputs, statistics: true, signal })) {
      timesteps[record.step] = record.timestep;
      addActivations(sums, record);
    }
    await waitFor(
      request.onProgress?.({ doing: 'tracing gates', fraction: (index + 1) / conditions.length }),
      request.signal,
    );
  }
  return {
    stream: request.stream,
    timesteps,
    conditions: conditions.map((condition, index) => describeConditions(condition, index, bundle)),
    gates: sums.flatMap((sum) => compare(sum, byLayer ? (byLayer[sum.site.layer] ?? []) : channels, conditions.length)),
  };
}

function addGates(sums: Sums[], { site, step, tensor }: ActivationRecord, hiddenChannels: number): void {
  const at = sums.find((sum) => sum.site.path === site.path);
  if (!at || !tensor) return;
  // One row an image: the modulation is the same for all tokens.
  const values = toFloat32(tensor);
  at.site.gates.forEach(({ chunk }, gate) => {
    const total = (at.gates[gate]![step] ??= new Float64Array(hiddenChannels));
    for (let channel = 0; channel < hiddenChannels; channel++) {
      total[channel]! += Math.abs(values[chunk * hiddenChannels + channel]!);
    }
  });
}

function addActivations(sums: Sums[], { site, step, channels }: ActivationRecord): void {
  const at = sums.find((sum) => sum.site.layer === site.block);
  if (!at || !channels) return;
  const total = (at.activations[step] ??= new Float64Array(channels.mean.length));
  channels.mean.forEach((value, channel) => (total[channel]! += value));
}

function compare({ site, gates, activations }: Sums, massive: readonly number[], conditions: number): GateTrace[] {
  const activation = overSteps(activations, conditions);
  return site.gates.map(({ branch }, index) => {
    const gate = overSteps(gates[index]!, conditions);
    const order = strongestFirst(gate);
    const top = new Set(order.slice(0, massive.length));
    return {
      layer: site.layer,
      path: site.path,
      branch,
      gate,
      activation,
      massive: [...massive],
      overlap: massive.length === 0 ? null : massive.filter((channel) => top.has(channel)).length / massive.length,
      chance: massive.length / gate.length,
      ranks: massive.map((channel) => order.indexOf(channel) + 1),
      correlation: spearman(gate, activation),
      correlationByTimestep: gates[index]!.map((at, step) => spearman(at, activations[step]!)),
    };
  });
}

/** From sums over the conditions by timestep to means over both. */
function overSteps(byStep: Float64Array[], conditions: number): number[] {
  return Array.from(byStep[0] ?? [], (_, channel) => mean(byStep.map((at) => at[channel]!)) / conditions);
}
