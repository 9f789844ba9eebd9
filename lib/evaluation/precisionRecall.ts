/**
 * Improved precision and recall (Kynkäänniemi et al., arXiv 1904.06991). The manifold of a set is the union of the balls
 * around its members that reach to the k-th nearest neighbour within the set. Precision: the share of generated images on
 * the manifold of the reference (fidelity). Recall: the share of reference images on the manifold of the generated ones
 * (coverage).
 */
import { invalid } from '../validation/invalid';

import { checkSameWidth, firstRows, type Features } from './features';
import type { Pace } from './pace';

export interface Manifold {
  features: Features;
  /** Squared distance of each image to its k-th nearest neighbour in the set. */
  radii: Float64Array;
}

/** Improved precision and recall (Kynkäänniemi et al., arXiv 1904.06991), 0 to 1. */
export interface PrecisionRecall {
  /** Share of the generated images inside the manifold of the reference. */
  precision: number;
  /** Share of the reference inside the manifold of the generated images. */
  recall: number;
  /** Neighbours that make the manifold. */
  neighbours: number;
  /** Images of each set, as many of both: the first ones. */
  images: number;
}

/** The manifold of the first `images` of a set. @throws BAD_OPTION for fewer images than neighbours + 1 */
export async function manifoldOf(
  all: Features,
  { neighbours, images }: { neighbours: number; images: number },
  pace: Pace,
): Promise<Manifold> {
  const features = firstRows(all, images);
  const { count } = features;
  if (count <= neighbours) {
    throw invalid('Precision and recall', `at least ${neighbours + 1} images, for ${neighbours} neighbours`, count);
  }
  // Per image the k smallest distances so far, ascending.
  const nearest = new Float64Array(count * neighbours).fill(Infinity);
  for (let i = 0; i < count; i++) {
    for (let j = i + 1; j < count; j++) {
      const distance = squaredDistance(features, i, features, j);
      insert(nearest, i * neighbours, neighbours, distance);
      insert(nearest, j * neighbours, neighbours, distance);
    }
    await pace.breathe();
  }
  const radii = Float64Array.from({ length: count }, (_, image) => nearest[(image + 1) * neighbours - 1]!);
  return { features, radii };
}

/** `evaluate` gives it manifolds of as many images each. */
export async function precisionAndRecall(
  reference: Manifold,
  generated: Manifold,
  neighbours: number,
  pace: Pace,
): Promise<PrecisionRecall> {
  checkSameWidth(reference.features, generated.features);
  const covered = new Uint8Array(reference.features.count);
  let faithful = 0;
  for (let i = 0; i < generated.features.count; i++) {
    const radius = generated.radii[i]!;
    let inside = false;
    for (let j = 0; j < covered.length; j++) {
      if (inside && covered[j]) continue;
      const distance = squaredDistance(generated.features, i, reference.features, j);
      if (distance <= reference.radii[j]!) inside = true;
      if (distance <= radius) covered[j] = 1;
    }
    if (inside) faithful++;
    await pace.breathe();
  }
  const recalled = covered.reduce((sum, one) => sum + one, 0);
  return {
    precision: faithful / generated.features.count,
    recall: recalled / covered.length,
    neighbours,
    images: Math.min(generated.features.count, covered.length),
  };
}

/** Keeps `count` ascending values from `start` on, with `value` in its place if it is among the smallest. */
function insert(sorted: Float64Array, start: number, count: number, value: number): void {
  let place = start + count - 1;
  if (value >= sorted[place]!) return;
  for (; place > start && sorted[place - 1]! > value; place--) sorted[place] = sorted[place - 1]!;
  sorted[place] = value;
}

/** Differences are squared one by one: |a|² + |b|² − 2ab would cancel for images that are near. */
function squaredDistance(a: Features, i: number, b: Features, j: number): number {
  const { width } = a;
  const [from, to] = [i * width, j * width];
  let sum = 0;
  for (let k = 0; k < width; k++) {
    const difference = a.values[from + k]! - b.values[to + k]!;
    sum += difference * difference;
  }
  return sum;
}
