/**
 * How near a picture is to another: PSNR, signal-to-noise ratio, and SSIM (Wang, Bovik, Sheikh and Simoncelli 2004), for
 * the picture as a whole and for its low and its high frequencies apart. The low band is the picture under a Gaussian
 * whose transfer falls to one half at the cutoff; the high band is the rest, so the two add up to the picture.
 */
import { invalid } from '../validation/invalid';

import type { Luminance } from './luminance';

/** The picture as a whole, its low, its high frequencies. */
export type Band = 'whole' | 'low' | 'high';
export const bands: readonly Band[] = ['whole', 'low', 'high'];

/** Of one band of one picture against the same band of its reference. */
export interface Fidelity {
  /** Mean squared difference; luminance is 0 to 1. */
  squaredError: number;
  /** Variance of the band in the reference: what there was to lose. */
  signal: number;
  /** Mean structural similarity, −1 to 1. */
  ssim: number;
}

/** Peak signal-to-noise ratio in dB of a mean squared error, for values from 0 to 1; infinite for none. */
export function psnr(squaredError: number): number {
  return -10 * Math.log10(squaredError);
}

/** Signal-to-noise ratio in dB: the error by what there was to lose. Unlike PSNR it can be compared between bands. */
export function signalToNoise(signal: number, squaredError: number): number {
  return 10 * Math.log10(signal / squaredError);
}

/** Standard deviation, in pixels, of the Gaussian whose transfer exp(−2π²σ²f²) is one half at `cutoff` cycles per pixel. */
export function bandSigma(cutoff: number): number {
  return Math.sqrt(Math.LN2 / 2) / (Math.PI * cutoff);
}

export function splitBands(picture: Luminance, cutoff: number): Record<Band, Luminance> {
  const low = blurred(picture, bandSigma(cutoff), 4);
  const high = { ...picture, values: picture.values.map((value, place) => value - low.values[place]!) };
  return { whole: picture, low, high };
}

/** @throws BAD_TENSOR for pictures of different sizes, or under 11 x 11, the window of SSIM */
export function fidelity(picture: Luminance, reference: Luminance): Fidelity {
  if (picture.height !== reference.height || picture.width !== reference.width) {
    throw invalid(
      'The picture',
      `${reference.width} x ${reference.height}, as its reference`,
      [picture.height, picture.width],
      {
        code: 'BAD_TENSOR',
        shown: `${picture.width} x ${picture.height}`,
      },
    );
  }
  const count = reference.values.length;
  const mean = reference.values.reduce((sum, value) => sum + value, 0) / count;
  let [error, variance] = [0, 0];
  for (let place = 0; place < count; place++) {
    error += (picture.values[place]! - reference.values[place]!) ** 2;
    variance += (reference.values[place]! - mean) ** 2;
  }
  return { squaredError: error / count, signal: variance / count, ssim: structuralSimilarity(picture, reference) };
}

/** Of the window: 11 x 11, as in the paper. */
const windowSigma = 1.5;
const windowReach = 5;
const c1 = 0.01 ** 2;
const c2 = 0.03 ** 2;

/**
 * SSIM with a Gaussian window of 11 x 11 (σ 1.5), K₁ 0.01, K₂ 0.03, range 1, averaged over the places where the window
 * lies inside the picture.
 *
 * @throws BAD_TENSOR for pictures under 11 x 11
 */
export function structuralSimilarity(a: Luminance, b: Luminance): number {
  const { height, width } = a;
  const side = 2 * windowReach + 1;
  if (height < side || width < side) {
    throw invalid('The picture', `at least ${side} x ${side}, the window of SSIM`, [height, width], {
      code: 'BAD_TENSOR',
      shown: `${width} x ${height}`,
    });
  }
  const smooth = (values: Float64Array) => blurred({ values, height, width }, windowSigma, windowReach / windowSigma);
  const product = (x: Luminance, y: Luminance) => x.values.map((value, place) => value * y.values[place]!);
  const [meanA, meanB] = [smooth(a.values).values, smooth(b.values).values];
  const [aa, bb, ab] = [product(a, a), product(b, b), product(a, b)].map((values) => smooth(values).values);
  let [sum, places] = [0, 0];
  for (let y = windowReach; y < height - windowReach; y++) {
    for (let x = windowReach; x < width - windowReach; x++) {
      const place = y * width + x;
      const [p, q] = [meanA[place]!, meanB[place]!];
      const [varianceA, varianceB, covariance] = [aa![place]! - p * p, bb![place]! - q * q, ab![place]! - p * q];
      sum += ((2 * p * q + c1) * (2 * covariance + c2)) / ((p * p + q * q + c1) * (varianceA + varianceB + c2));
      places++;
    }
  }
  return sum / places;
}

/** Gaussian blur, cut off at `truncate` standard deviations, mirrored at the borders (d c b a | a b c d | d c b a). */
function blurred({ values, height, width }: Luminance, sigma: number, truncate: number): Luminance {
  const reach = Math.floor(truncate * sigma + 0.5);
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, k) =>
    Math.exp(-((k - reach) ** 2) / (2 * sigma ** 2)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const pass = (from: Float64Array, lines: number, length: number, step: number, stride: number): Float64Array => {
    const to = new Float64Array(from.length);
    for (let line = 0; line < lines; line++) {
      for (let place = 0; place < length; place++) {
        let sum = 0;
        for (let k = -reach; k <= reach; k++) {
          sum += weights[k + reach]! * from[line * stride + mirrored(place + k, length) * step]!;
        }
        to[line * stride + place * step] = sum / total;
      }
    }
    return to;
  };
  const across = pass(values, height, width, 1, width);
  return { values: pass(across, width, height, width, 1), height, width };
}

function mirrored(place: number, length: number): number {
  const period = 2 * length;
  const inside = ((place % period) + period) % period;
  return inside < length ? inside : period - 1 - inside;
}
