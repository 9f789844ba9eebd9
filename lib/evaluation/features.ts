/** A set of feature vectors: what every metric of a distribution works on. */
import { invalid } from '../validation/invalid';

export interface Features {
  /** Row-major [count, width]. */
  values: Float32Array;
  /** Images. */
  count: number;
  /** Features of one image. */
  width: number;
}

/** Some of the rows, in the order of `indices`. */
export function takeRows({ values, width }: Features, indices: ArrayLike<number>): Features {
  const selection = new Float32Array(indices.length * width);
  for (let row = 0; row < indices.length; row++) {
    const from = indices[row]! * width;
    selection.set(values.subarray(from, from + width), row * width);
  }
  return { values: selection, count: indices.length, width };
}

/** The first rows, sharing the memory. */
export function firstRows({ values, width, count }: Features, rows: number): Features {
  const length = Math.min(count, rows);
  return { values: values.subarray(0, length * width), count: length, width };
}

/** One set after the other. */
export function joinFeatures(parts: readonly Features[], width: number): Features {
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  const values = new Float32Array(count * width);
  let row = 0;
  for (const part of parts) {
    values.set(part.values, row * width);
    row += part.count;
  }
  return { values, count, width };
}

/** @throws BAD_TENSOR when two sets come from different networks */
export function checkSameWidth(a: Features, b: Features): void {
  if (a.width === b.width) return;
  throw invalid('The second set', `${a.width} features an image, as in the first`, b.width, { code: 'BAD_TENSOR' });
}
