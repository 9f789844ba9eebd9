/** What is found at one site for one branch, image and step; and how it comes from the native side. */
import type { NativeRecording, NativeRecords, Site } from '../native';
import type { Tensor } from '../tensor';

/** Per channel, over the tokens of one hidden state z. A channel with a NaN has NaN in all of them. */
export interface ChannelStatistics {
  /** max |z|. */
  max: Float32Array;
  /** Mean of |z|. */
  mean: Float32Array;
  /** Median of |z|; of an even number of tokens the mean of the two in the middle. */
  median: Float32Array;
  /** Variance of z, divided by the number of tokens. */
  variance: Float32Array;
  /** Of |z|, linear between two ranks as in NumPy; those that were asked for, in their order. */
  percentiles?: ChannelPercentile[];
}

/** A percentile of |z| over the tokens. */
export interface ChannelPercentile {
  /** Which one, 0 to 100. */
  percentile: number;
  /** One number for each channel. */
  values: Float32Array;
}

/** Per token, over the channels of one hidden state z. */
export interface TokenStatistics {
  /** L2 norm of each token. */
  norm: Float32Array;
}

/** One of the strongest values of a hidden state. */
export interface StrongValue {
  /** Token, from 0. */
  token: number;
  /** Channel, from 0. */
  channel: number;
  /** z there, with its sign. */
  value: number;
}

/** Of an attention: where its queries look. */
export interface AttentionStatistics {
  /** The mean over heads and queries of the attention that falls on each key token; adds up to 1. */
  mass: Float32Array;
}

/** One hidden state z [tokens, channels], in part or whole. Arrays may be views of a common buffer. */
export interface ActivationRecord {
  /** Where in the model. */
  site: Site;
  /** Name of the branch in the plan. */
  branch: string;
  /** Which of the images, from 0. */
  image: number;
  /** Evaluation of the sampler, from 0: an index into the plan's steps. */
  step: number;
  /** As the model was given it. */
  timestep: number;
  /** [tokens, channels] of the hidden state. */
  shape: [number, number];
  /** Statistics per channel; with `statistics`. */
  channels?: ChannelStatistics;
  /** L2 norm of each token, over the channels. */
  tokens?: TokenStatistics;
  /** The strongest values, by |z|, the strongest first. */
  top?: StrongValue[];
  /** Attention taps alone: the mean over heads and queries of the attention that falls on each key token; adds up to 1. */
  attention?: AttentionStatistics;
  /** The hidden state itself, [tokens, channels]. */
  tensor?: Tensor;
  /** Values of the hidden state that are NaN or infinite. */
  nonFinite: number;
}

/** Numbers of `NativeRecords.index` for each record. */
const indexWidth = 5;

/** One record for each site, branch and image, in this order. */
export function* decodeRecords(
  { step, timestep, image: first, images, index, words, tensors }: NativeRecords,
  recording: NativeRecording,
  sites: readonly Site[],
  branchNames: readonly string[],
): Generator<ActivationRecord> {
  const reader = new WordReader(words);
  for (let entry = 0; entry * indexWidth < index.length; entry++) {
    const [site, branch, tokens, channels, keys] = index.subarray(entry * indexWidth) as unknown as number[];
    const tensor = tensors[entry];
    for (let image = 0; image < images; image++) {
      yield {
        site: sites[site!]!,
        branch: branchNames[branch!]!,
        image: first + image,
        step,
        timestep,
        shape: [tokens!, channels!],
        ...readStatistics(reader, recording, tokens!, channels!),
        ...(keys! > 0 ? { attention: { mass: reader.floats(keys!) } } : {}),
        ...(tensor ? { tensor: imageOf(tensor, image) } : {}),
      };
    }
  }
}

type Statistics = Pick<ActivationRecord, 'channels' | 'tokens' | 'top' | 'nonFinite'>;

/** In the order of native/core/recording/statistics.h. */
function readStatistics(
  reader: WordReader,
  { channels: perChannel, percentiles, tokens: norms, top }: NativeRecording,
  tokens: number,
  channels: number,
): Statistics {
  const statistics: Omit<Statistics, 'nonFinite'> = {};
  if (perChannel) {
    const [max, mean, median, variance] = [0, 1, 2, 3].map(() => reader.floats(channels)) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    statistics.channels = { max, mean, median, variance };
    if (percentiles.length > 0) {
      statistics.channels.percentiles = percentiles.map((percentile) => ({
        percentile,
        values: reader.floats(channels),
      }));
    }
  }
  if (norms) statistics.tokens = { norm: reader.floats(tokens) };
  if (top > 0) {
    const count = Math.min(top, tokens * channels);
    const [token, channel] = [reader.integers(count), reader.integers(count)];
    const value = reader.floats(count);
    statistics.top = Array.from(token, (index, at) => ({ token: index, channel: channel[at]!, value: value[at]! }));
  }
  return { ...statistics, nonFinite: reader.integers(1)[0]! };
}

/** Floats and integers that stand side by side as 32-bit words. */
class WordReader {
  readonly #floats: Float32Array;
  #position = 0;

  constructor(private readonly words: Int32Array) {
    this.#floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  }

  floats(count: number): Float32Array {
    return this.#floats.subarray(this.#position, (this.#position += count));
  }

  integers(count: number): Int32Array {
    return this.words.subarray(this.#position, (this.#position += count));
  }
}

function imageOf({ data, shape, dtype }: Tensor, image: number): Tensor {
  const [, tokens, channels] = shape as [number, number, number];
  const size = tokens * channels;
  return { data: data.subarray(image * size, (image + 1) * size), shape: [tokens, channels], dtype };
}
