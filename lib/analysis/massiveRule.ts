/**
 * The rule that says which channels are massive, made precise in docs/massive-activations.md.
 *
 * Sun et al. (arXiv 2402.17762) call an activation massive above 100 and a thousand times the median. Diffusion
 * Transformers stay below that (Gan et al., arXiv 2510.11538), so everything here is relative, by layer and timestep.
 */
import { lowerMedian, mean, strongestFirst } from './statistics';

export interface MassiveRule {
  /** A massive channel's mean |z| over the tokens is at least so many times the median channel's. */
  threshold: number;
  /** And at least this share of the strongest channel's. */
  share: number;
  /** It is so at this share of the timesteps or more. */
  timesteps: number;
}

/** What a layer's channels do, strengths by timestep being multiples of the median channel. */
export interface LayerChannels {
  /** Massive channels, the strongest first. */
  massive: number[];
  /** Channels that pass by their mean but are weak at most tokens: high-norm tokens, no massive channels. */
  atSingleTokens: number[];
  /** [timestep][channel]: mean of |z| over the tokens, over that of the median channel. */
  strengths: Float64Array[];
  /** [timestep][channel]: the same of the median of |z| over the tokens. */
  spreads: Float64Array[];
  /** Mean of `strengths` over the timesteps. */
  strength: Float64Array;
  /** Channels by `strength`, the strongest first. */
  order: number[];
}

/** What passes by the mean has to pass by the median over the tokens too, at this share of the threshold. */
const spreadShare = 0.5;

/** Values of the channels as multiples of the median channel's; 0 where that is 0, so that a dead stream has none. */
export function relativeToMedian(values: ArrayLike<number>): Float64Array {
  const middle = lowerMedian(values);
  return Float64Array.from(values, (value) => (middle > 0 ? value / middle : 0));
}

/**
 * Judges one layer.
 *
 * @param means mean of |z| over the tokens, [timestep][channel]
 * @param medians median of |z| over the tokens, [timestep][channel]
 */
export function judgeLayer(
  means: readonly ArrayLike<number>[],
  medians: readonly ArrayLike<number>[],
  rule: MassiveRule,
): LayerChannels {
  const strengths = means.map(relativeToMedian);
  const spreads = medians.map(relativeToMedian);
  const strength = overTimesteps(strengths);
  const order = strongestFirst(strength);
  const strong = massiveTimesteps(strengths, rule);
  const enough = (count: number) => count > 0 && count >= rule.timesteps * strengths.length;
  const passing = order.filter((channel) => enough(strong[channel]!.length));
  const spread = (channel: number) =>
    enough(strong[channel]!.filter((step) => spreads[step]![channel]! >= spreadShare * rule.threshold).length);
  return {
    massive: passing.filter(spread),
    atSingleTokens: passing.filter((channel) => !spread(channel)),
    strengths,
    spreads,
    strength,
    order,
  };
}

/** The channels by their strength over all timesteps, the strongest first. @param means [timestep][channel] */
export function rankChannels(means: readonly ArrayLike<number>[]): number[] {
  return strongestFirst(overTimesteps(means.map(relativeToMedian)));
}

function overTimesteps(strengths: readonly Float64Array[]): Float64Array {
  return Float64Array.from(strengths[0] ?? [], (_, channel) => mean(strengths.map((at) => at[channel]!)));
}

/** For each channel, the timesteps at which its mean passes. */
export function massiveTimesteps(strengths: readonly Float64Array[], { threshold, share }: MassiveRule): number[][] {
  const timesteps = Array.from(strengths[0] ?? [], (): number[] => []);
  strengths.forEach((at, step) => {
    const least = Math.max(threshold, share * at.reduce((largest, value) => Math.max(largest, value), 0));
    at.forEach((value, channel) => {
      if (value >= least) timesteps[channel]!.push(step);
    });
  });
  return timesteps;
}

/** The rule in one sentence, as it is recorded in a bundle. */
export function describeRule({ threshold, share, timesteps }: MassiveRule): string {
  return (
    `channel mean of |z| over tokens, relative to the median channel, at least ${threshold} and at least ${share} of ` +
    `the strongest channel's, at ${timesteps} of the timesteps or more (per layer), and its median over tokens at ` +
    `least ${spreadShare * threshold} times the median channel's there`
  );
}
