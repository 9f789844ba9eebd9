/** What the search for massive activations gives. */
import type { LayerEffect, SuggestedLayer } from './suggestLayer';

/** The timestep at which a channel is strongest. */
export interface StrengthPeak {
  /** As the model takes it. */
  timestep: number;
  /** Mean of |z| over tokens, times the median channel's. */
  strength: number;
}

/** A massive channel of one layer. */
export interface MassiveChannel {
  /** Index of the channel, from 0. */
  channel: number;
  /** Mean of |z| over tokens, times the median channel's, averaged over the timesteps. */
  strength: number;
  /** Where it is strongest. */
  peak: StrengthPeak;
  /** Share of the timesteps at which it passes. */
  timesteps: number;
  /** The median of |z| over tokens, times the median channel's, averaged over the timesteps. */
  spread: number;
  /** Share of the seeds under which it passes when each is judged alone. */
  seeds: number;
  /** Share of the conditions under which it passes when each is judged alone. */
  conditions: number;
}

/** The strongest channel of a layer, massive or not. */
export interface StrongestChannel {
  /** Index of the channel, from 0. */
  channel: number;
  /** Its strength at each timestep. */
  strength: number[];
}

/** How much the strongest channels stay the same: mean Jaccard indices; 1 is always the same ones, 0 never. */
export interface ChannelStability {
  /** Between single conditions. */
  acrossConditions: number;
  /** Between single seeds. */
  acrossSeeds: number;
}

/** What was found after one layer. */
export interface LayerFinding {
  /** Index of the block, from 0. */
  layer: number;
  /** Path of the block in the model. */
  path: string;
  /** The massive channels, the strongest first; empty where there are none. */
  channels: MassiveChannel[];
  /** The strongest channel, massive or not, and its strength by timestep. */
  strongest: StrongestChannel;
  /** Channels that are strong at few tokens only. */
  atSingleTokens: number[];
  /** Channels that pass over all, but in fewer than half of the seeds or of the conditions alone. */
  unstable: number[];
  /** Of the strongest channels of single conditions and single seeds, as many as are massive overall. */
  stability: ChannelStability;
  /** Mean of |z| over tokens, conditions and seeds, [timestep][channel]. */
  channelMeans: number[][];
}

/** A channel that the bundle records, and where it is massive. */
export interface RecordedChannel {
  /** Index of the channel, from 0. */
  channel: number;
  /** Layers after which it is massive; empty where it is not. */
  layers: number[];
}

/** The channels that a bundle records, as a publication may have named them. */
export interface RecordedChannels {
  /** `measured`, or the publication; null where the bundle does not say. */
  source: string | null;
  /** In the bundle's order. */
  channels: RecordedChannel[];
}

/** Values of one record that were NaN or infinite. */
export interface NonFiniteRecord {
  /** Index of the block, from 0. */
  layer: number;
  /** Evaluation of the sampler, from 0. */
  step: number;
  /** How many values. */
  count: number;
}

/** What `findMassiveActivations` gives. */
export interface MassiveActivations {
  /** Whether any layer has a massive channel. */
  found: boolean;
  /** The layer to disrupt and why; null when none were found. */
  suggested: SuggestedLayer | null;
  /** In the order of the model. */
  layers: LayerFinding[];
  /** The channels that the bundle records; null where it records none. */
  recorded: RecordedChannels | null;
  /** What disrupting each layer did to the latents; empty unless `suggest`. */
  effects: LayerEffect[];
  /** Stream of the blocks. */
  stream: string;
  /** As the model takes them, in order of evaluation. */
  timesteps: number[];
  /** A few words for each of the conditions. */
  conditions: string[];
  /** Seeds of the windows. */
  seeds: number[];
  /** Whether the stop rule was met. */
  stable: boolean;
  /** Mean Jaccard index of each window with the one before, 0 to 1. */
  agreement: number[];
  /** By which channels were judged, in words. */
  rule: string;
  /** Strength from which a channel is massive, in times the median channel's. */
  threshold: number;
  /** Why nothing was found, and what else a reader has to know: sentences. */
  remarks: string[];
  /** Values that were NaN or infinite; their records were left out. */
  nonFinite: NonFiniteRecord[];
}
