/** The arithmetic of the benchmark. */

/** The value in the middle, or the mean of the two in the middle; NaN of nothing. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Linear between neighbours, as numpy's default; `fraction` from 0 to 1. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(position)] ?? NaN;
  const above = sorted[Math.ceil(position)] ?? NaN;
  return below + (above - below) * (position - Math.floor(position));
}

/** The straight line through values that were taken one after the other, by least squares. */
export function slopeOf(values: readonly number[]): { slope: number; standardError: number } {
  const count = values.length;
  const [middle, mean] = [(count - 1) / 2, values.reduce((sum, value) => sum + value, 0) / count];
  const spread = values.reduce((sum, _, at) => sum + (at - middle) ** 2, 0);
  const slope = values.reduce((sum, value, at) => sum + (at - middle) * (value - mean), 0) / spread;
  const left = values.reduce((sum, value, at) => sum + (value - mean - slope * (at - middle)) ** 2, 0);
  return { slope, standardError: Math.sqrt(left / (count - 2) / spread) };
}

/** Two things that were timed in turn: `numerator[i]` right before or after `denominator[i]`. */
export interface Ratio {
  /** Ratio of the medians. */
  ratio: number;
  /** Quartiles of the ratios of the pairs: how far one pair is from another. */
  quartiles: [number, number];
  samples: number;
}

export function ratioOf(numerator: readonly number[], denominator: readonly number[]): Ratio {
  const samples = Math.min(numerator.length, denominator.length);
  const pairs = Array.from({ length: samples }, (_, index) => numerator[index]! / denominator[index]!);
  return {
    ratio: median(numerator) / median(denominator),
    quartiles: [quantile(pairs, 0.25), quantile(pairs, 0.75)],
    samples,
  };
}

/** m: the blocks before a cut at this share of the depth, from 1 to all but none of them. */
export function blocksBefore(depth: number, blocks: number): number {
  return Math.min(Math.max(Math.round(depth * blocks), 1), blocks);
}

/**
 * What CFG + DG costs at least, relative to CFG, when the disruption is made after block m of L: two rows through all
 * blocks and a third one through the last L − m, of which CFG has the two.
 */
export function partialForwardFloor(blocksBeforeCut: number, blocks: number): number {
  return (2 + (blocks - blocksBeforeCut) / blocks) / 2;
}
