/**
 * Mean and covariance of feature vectors, in float64. Two passes over the data and the pairwise update of Chan, Golub
 * and LeVeque ("Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979) where sets are
 * joined: sums of raw squares would cancel.
 */
import { invalid } from '../validation/invalid';

import type { Features } from './features';
import type { Pace } from './pace';

export interface Moments {
  count: number;
  width: number;
  mean: Float64Array;
  /** Σ (x − mean)(x − mean)ᵀ, row-major [width, width], symmetric. */
  scatter: Float64Array;
}

/** Moments of a set that is not empty. */
export async function momentsOf({ values, count, width }: Features, pace: Pace): Promise<Moments> {
  const mean = new Float64Array(width);
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < width; column++) mean[column]! += values[row * width + column]!;
  }
  for (let column = 0; column < width; column++) mean[column]! /= count;
  const scatter = new Float64Array(width * width);
  const centred = new Float64Array(width);
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < width; column++) centred[column] = values[row * width + column]! - mean[column]!;
    for (let a = 0; a < width; a++) {
      const value = centred[a]!;
      // Networks that end in a ReLU are zero half of the time.
      if (value === 0) continue;
      const start = a * width;
      for (let b = a; b < width; b++) scatter[start + b]! += value * centred[b]!;
    }
    await pace.breathe();
  }
  for (let a = 0; a < width; a++) {
    for (let b = 0; b < a; b++) scatter[a * width + b] = scatter[b * width + a]!;
  }
  return { count, width, mean, scatter };
}

/** Moments of two sets together. */
export function joinMoments(one: Moments, other: Moments): Moments {
  const { width } = one;
  const count = one.count + other.count;
  const mean = one.mean.map((value, column) => value + ((other.mean[column]! - value) * other.count) / count);
  const scatter = new Float64Array(width * width);
  const weight = (one.count * other.count) / count;
  for (let a = 0; a < width; a++) {
    const difference = weight * (other.mean[a]! - one.mean[a]!);
    for (let b = 0; b < width; b++) {
      const place = a * width + b;
      scatter[place] = one.scatter[place]! + other.scatter[place]! + difference * (other.mean[b]! - one.mean[b]!);
    }
  }
  return { count, width, mean, scatter };
}

/**
 * The unbiased covariance (divided by n − 1), row-major [width, width].
 *
 * @throws BAD_OPTION for fewer than two images
 */
export function covariance({ count, scatter }: Moments): Float64Array {
  if (count < 2) {
    throw invalid('A covariance', 'at least 2 images, better more than features', count);
  }
  return scatter.map((value) => value / (count - 1));
}
