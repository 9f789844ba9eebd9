/** Confidence intervals by the percentile bootstrap (Efron 1979), seeded: the same on every machine. */
import { uniform } from '../guidance/seededDraw';

/** A figure with its 95 % confidence interval. */
export interface Estimate {
  /** The figure. */
  value: number;
  /** Lower bound of the interval. */
  low: number;
  /** Upper bound of the interval. */
  high: number;
}

export interface BootstrapOptions {
  /** Default 2000. */
  resamples?: number;
  /** Share of the resamples inside the interval. Default 0.95. */
  level?: number;
  /** Default 0. */
  seed?: number;
}

/**
 * Estimate of a statistic of means, with its interval: the observations are drawn again with replacement, and the
 * statistic is taken of the means of each draw.
 *
 * @param columns one or several quantities of the same observations (images); an observation is drawn as a whole
 * @param statistic of the columns' means. Default: the first mean itself
 */
export function estimate(
  columns: readonly ArrayLike<number>[],
  statistic: (means: number[]) => number = ([mean]) => mean!,
  { resamples = 2000, level = 0.95, seed = 0 }: BootstrapOptions = {},
): Estimate {
  const count = columns[0]!.length;
  const value = statistic(columns.map((column) => sumOf(column) / count));
  const random = uniform(seed);
  const draws = Array.from({ length: resamples }, () => {
    const sums = columns.map(() => 0);
    for (let index = 0; index < count; index++) {
      const observation = Math.floor(random() * count);
      for (let column = 0; column < columns.length; column++) sums[column]! += columns[column]![observation]!;
    }
    return statistic(sums.map((sum) => sum / count));
  }).sort((a, b) => a - b);
  return { value, low: quantile(draws, (1 - level) / 2), high: quantile(draws, (1 + level) / 2) };
}

/** Linear interpolation between order statistics, as numpy's default. */
export function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  // Between two equal infinities there is no difference to take.
  return below === above ? below : below + (above - below) * (place - Math.floor(place));
}

function sumOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += values[index]!;
  return sum;
}
