/**
 * A picture's coarse part and its detail: what a Gaussian blur of one pixel leaves, and what it takes away. On latents
 * of any channel count, so that no decoder is needed; the spectrum of pictures is measured in evaluation.
 */
import type { Tensor } from '../tensor';

/** 1-4-6-4-1, a Gaussian of standard deviation 1. */
const kernel = [1, 4, 6, 4, 1].map((weight) => weight / 16);

export interface Bands {
  /** float64, as long as the latents. */
  coarse: Float64Array;
  detail: Float64Array;
}

/** @param latents float32 [images, channels, height, width]; edges are repeated */
export function splitBands({ data, shape }: Tensor): Bands {
  const [height, width] = shape.slice(-2) as [number, number];
  const values = Float64Array.from(data as Float32Array);
  const coarse = blurAlong(blurAlong(values, width, 1), height, width);
  return { coarse, detail: values.map((value, index) => value - coarse[index]!) };
}

/** Blurs along an axis of `length` whose neighbours are `stride` apart. */
function blurAlong(values: Float64Array, length: number, stride: number): Float64Array {
  return values.map((_, index) => {
    const place = Math.floor(index / stride) % length;
    const first = index - place * stride;
    return kernel.reduce((sum, weight, tap) => {
      const neighbour = Math.min(Math.max(place + tap - 2, 0), length - 1);
      return sum + weight * values[first + neighbour * stride]!;
    }, 0);
  });
}

export interface BandChange {
  /** Energy of the detail over that of the original: below 1 detail is lost, above 1 it is added. */
  detailEnergy: number;
  /** Squared change of the detail over its energy. */
  detailChange: number;
  /** Squared change of the coarse part over the variance of the original's: 0 is no change. */
  coarseChange: number;
}

/** What a change does to the two bands, over all images. Both tensors [images, channels, height, width]. */
export function compareBands(original: Tensor, changed: Tensor): BandChange {
  const [before, after] = [splitBands(original), splitBands(changed)];
  const energy = (values: Float64Array) => values.reduce((sum, value) => sum + value * value, 0);
  const middle = before.coarse.reduce((sum, value) => sum + value, 0) / before.coarse.length;
  const difference = (band: keyof Bands) => before[band].map((value, index) => after[band][index]! - value);
  return {
    detailEnergy: energy(after.detail) / energy(before.detail),
    detailChange: energy(difference('detail')) / energy(before.detail),
    coarseChange: energy(difference('coarse')) / energy(before.coarse.map((value) => value - middle)),
  };
}
