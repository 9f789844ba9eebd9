/**
 * The layer whose disruption makes the detail-deficient model: pictures from the same noise with and without it, for
 * every layer that has massive channels. The publications say of the layer only that it was ablated.
 */
import { AbortError } from '../validation/errors';
import type { GuidanceOptions } from '../guidance';

import type { Conditions } from './conditions';
import { compareBands, type BandChange } from './detailBands';
import type { ActivationSource } from './source';
import { mean } from './statistics';

/** What disrupting a layer's massive channels (ρ = 0) does to the sampled latents, a mean over conditions. */
export interface LayerEffect extends BandChange {
  /** Index of the block, from 0. */
  layer: number;
  /** Its massive channels, which were set to 0. */
  channels: number[];
}

/** A layer to disrupt. */
export interface SuggestedLayer {
  /** Index of the block, from 0. */
  layer: number;
  /** Its massive channels, the strongest first. */
  channels: number[];
  /** Why this one: a sentence. */
  reason: string;
}

export interface Suggestion {
  suggested: SuggestedLayer | null;
  effects: LayerEffect[];
}

/** A layer with its massive channels, the strongest first. */
interface Candidate {
  layer: number;
  channels: readonly { channel: number; strength: number }[];
}

interface SuggestRequest {
  seed: number;
  numInferenceSteps: number;
  stream: string;
  suggest: boolean;
  signal?: AbortSignal | undefined;
}

/** Conditions that the pictures are made under, the first ones of those given. */
const mostConditions = 10;

/** Disruption that adds more detail than this makes noise; guiding away from noise is something else. */
const mostDetailEnergy = 1.1;

/**
 * Suggests the layer at which disruption changes detail most for what it changes of the coarse part: guidance away from
 * it then moves detail and leaves the rest. Layers where it makes noise do not count. Without `suggest`, the layer with the strongest channel.
 *
 * @param candidates layers with massive channels
 * @throws ABORT_ERR and what `generate` throws
 */
export async function suggestLayer(
  pipeline: ActivationSource,
  candidates: readonly Candidate[],
  conditions: readonly Conditions[],
  request: SuggestRequest,
): Promise<Suggestion> {
  if (candidates.length === 0) return { suggested: null, effects: [] };
  if (!request.suggest) {
    const strength = ({ channels }: Candidate) => channels[0]!.strength;
    const best = candidates.reduce((one, other) => (strength(other) > strength(one) ? other : one));
    const reason = `its strongest channel has ${strength(best).toFixed(1)} times the median channel's magnitude, more than any other layer's`;
    return { suggested: { layer: best.layer, channels: channelsOf(best), reason }, effects: [] };
  }
  const effects = await measureEffects(pipeline, candidates, conditions.slice(0, mostConditions), request);
  const quiet = effects.filter(({ detailEnergy }) => detailEnergy <= mostDetailEnergy);
  if (quiet.length === 0) {
    const best = effects.reduce((one, other) => (other.detailEnergy < one.detailEnergy ? other : one));
    const reason = `disrupting any layer adds detail as noise does, this one least (${best.detailEnergy.toPrecision(3)} of its energy)`;
    return { suggested: { layer: best.layer, channels: best.channels, reason }, effects };
  }
  const selectivity = ({ detailChange, coarseChange }: LayerEffect) => detailChange / Math.max(coarseChange, 1e-12);
  const best = quiet.reduce((one, other) => (selectivity(other) > selectivity(one) ? other : one));
  const reason =
    `disrupting it changes the detail by ${best.detailChange.toPrecision(3)} of its energy and the coarse part by ` +
    `${best.coarseChange.toPrecision(3)} of its variance, the largest ratio among layers where it does not make noise`;
  return { suggested: { layer: best.layer, channels: best.channels, reason }, effects };
}

async function measureEffects(
  pipeline: ActivationSource,
  candidates: readonly Candidate[],
  conditions: readonly Conditions[],
  { seed, numInferenceSteps, stream, signal }: SuggestRequest,
): Promise<LayerEffect[]> {
  const sample = async (condition: Conditions, guidance: GuidanceOptions) => {
    if (signal?.aborted) throw new AbortError(signal.reason);
    const { latents } = await pipeline.generate({
      ...condition,
      seed,
      numImages: 1,
      numInferenceSteps,
      guidance,
      signal,
    });
    return latents;
  };
  const changes: BandChange[][] = candidates.map(() => []);
  for (const condition of conditions) {
    const plain = await sample(condition, {});
    for (const [index, candidate] of candidates.entries()) {
      const disrupt = { layer: candidate.layer, stream, channels: channelsOf(candidate) };
      changes[index]!.push(compareBands(plain, await sample(condition, { disrupt })));
    }
  }
  return candidates.map((candidate, index) => ({
    layer: candidate.layer,
    channels: channelsOf(candidate),
    detailEnergy: mean(changes[index]!.map(({ detailEnergy }) => detailEnergy)),
    detailChange: mean(changes[index]!.map(({ detailChange }) => detailChange)),
    coarseChange: mean(changes[index]!.map(({ coarseChange }) => coarseChange)),
  }));
}

function channelsOf({ channels }: Candidate): number[] {
  return channels.map(({ channel }) => channel);
}
