/**
 * Kernel distance: the unbiased estimate of the squared maximum mean discrepancy under a polynomial kernel,
 * k(x, y) = (x·y / width + 1)³ (Bińkowski et al., arXiv 1801.01401; with Inception features it is called KID). Unlike the
 * Fréchet distance its expectation does not depend on the number of images, and it may come out below zero.
 */
import { draw } from '../guidance/seededDraw';

import { checkSameWidth, takeRows, type Features } from './features';
import type { Pace } from './pace';

/** Kernel distance (Bińkowski et al., arXiv 1801.01401): the squared maximum mean discrepancy, a mean over subsets. */
export interface KernelDistance {
  /** Mean over the subsets. */
  distance: number;
  /**
   * The standard deviation over the subsets by √subsets: how far their drawing moves the mean. It holds nothing of which
   * images were made where a subset is nearly the whole set, and too little where subsets share images.
   */
  standardError: number;
  /** How many. */
  subsets: number;
  /** Images of each set in a subset. */
  subsetSize: number;
}

export interface KernelOptions {
  subsets: number;
  /** At most; as many as the smaller set has. */
  subsetSize: number;
  /** Draws the subsets. */
  seed: number;
}

export async function kernelDistance(
  reference: Features,
  generated: Features,
  options: KernelOptions,
  pace: Pace,
): Promise<KernelDistance> {
  checkSameWidth(reference, generated);
  const { subsets, seed } = options;
  const subsetSize = Math.min(options.subsetSize, reference.count, generated.count);
  const distances: number[] = [];
  for (let subset = 0; subset < subsets; subset++) {
    const [some, others] = subsetIndices(seed, subset, subsetSize, reference.count, generated.count);
    distances.push(await squaredDiscrepancy(takeRows(reference, some), takeRows(generated, others), pace));
  }
  const distance = distances.reduce((sum, value) => sum + value, 0) / subsets;
  const variance = distances.reduce((sum, value) => sum + (value - distance) ** 2, 0) / Math.max(1, subsets - 1);
  return { distance, standardError: Math.sqrt(variance / subsets), subsets, subsetSize };
}

/** Which images are in a subset: of the reference, of the generated ones. */
export function subsetIndices(
  seed: number,
  subset: number,
  size: number,
  references: number,
  generated: number,
): [number[], number[]] {
  const all = (count: number) => Array.from({ length: count }, (_, index) => index);
  return [draw(seed + 2 * subset, all(references), size), draw(seed + 2 * subset + 1, all(generated), size)];
}

/** MMD² of two sets with at least two rows each, unbiased: without the kernel of an image with itself. */
export async function squaredDiscrepancy(x: Features, y: Features, pace: Pace): Promise<number> {
  const within = async (set: Features) => (2 * (await kernelSum(set, set, true, pace))) / (set.count * (set.count - 1));
  const between = (await kernelSum(x, y, false, pace)) / (x.count * y.count);
  return (await within(x)) + (await within(y)) - 2 * between;
}

/** Σ k(xᵢ, yⱼ) over all pairs, or over those with j > i. */
async function kernelSum(x: Features, y: Features, above: boolean, pace: Pace): Promise<number> {
  const { width } = x;
  let total = 0;
  for (let i = 0; i < x.count; i++) {
    const row = x.values.subarray(i * width, (i + 1) * width);
    let sum = 0;
    for (let j = above ? i + 1 : 0; j < y.count; j++) {
      const start = j * width;
      let product = 0;
      for (let k = 0; k < width; k++) product += row[k]! * y.values[start + k]!;
      const base = product / width + 1;
      sum += base * base * base;
    }
    total += sum;
    await pace.breathe();
  }
  return total;
}
