/**
 * Where a picture's energy lies: its radial power spectrum, and the share of high frequencies. The mean is taken away,
 * a Hann window keeps the borders (which do not meet, as the transform assumes) from posing as detail, and the picture is
 * padded with zeros to a power of two.
 */
import FFT from 'fft.js';

import type { Luminance } from './luminance';

export interface Spectrum {
  /** Mean power in rings around the zero frequency; ring k (from 0) is at (k + 1) / (2 · rings) cycles per pixel. */
  radial: Float64Array;
  /** Energy above the cutoff by all energy but the mean's, 0 to 1; 0 for a flat picture. */
  highShare: number;
}

/** Rings of a picture's spectrum: half of its shorter side, so that neighbours are as far apart as frequencies are. */
export function ringsOf(height: number, width: number): number {
  return Math.max(1, Math.floor(Math.min(height, width) / 2));
}

/** Frequency of each ring, in cycles per pixel; the last one is 0.5, the highest that pixels can show. */
export function ringFrequencies(rings: number): number[] {
  return Array.from({ length: rings }, (_, ring) => (ring + 1) / (2 * rings));
}

/** @param cutoff where high frequencies begin, in cycles per pixel (0 to 0.5) */
export function spectrumOf(picture: Luminance, cutoff: number): Spectrum {
  const { height, width } = picture;
  const [rows, columns] = [powerOfTwo(height), powerOfTwo(width)];
  const { windowed, energy } = window(picture);
  const power = transform(windowed, height, width, rows, columns);
  const rings = ringsOf(height, width);
  const radial = new Float64Array(rings);
  const places = new Float64Array(rings);
  let [all, high] = [0, 0];
  for (let v = 0; v < rows; v++) {
    const vertical = frequency(v, rows);
    for (let u = 0; u < columns; u++) {
      if (u === 0 && v === 0) continue;
      const value = power[v * columns + u]! / energy;
      const distance = Math.hypot(vertical, frequency(u, columns));
      all += value;
      if (distance > cutoff) high += value;
      const ring = Math.round(distance * 2 * rings) - 1;
      // The corners reach beyond the highest frequency of the rings.
      if (ring >= rings) continue;
      radial[ring]! += value;
      places[ring]!++;
    }
  }
  // What rounding leaves of a flat picture is no detail.
  const highShare = all > 1e-20 ? high / all : 0;
  return { radial: radial.map((sum, ring) => sum / Math.max(1, places[ring]!)), highShare };
}

/** Root mean square over the rings of the difference of two spectra in decibels: 10 log₁₀ of the ratio of powers. */
export function spectrumDistance(one: ArrayLike<number>, other: ArrayLike<number>): number {
  let sum = 0;
  for (let ring = 0; ring < one.length; ring++) {
    sum += (10 * Math.log10(Math.max(one[ring]!, 1e-20) / Math.max(other[ring]!, 1e-20))) ** 2;
  }
  return Math.sqrt(sum / one.length);
}

function window({ values, height, width }: Luminance): { windowed: Float64Array; energy: number } {
  const [vertical, horizontal] = [hann(height), hann(width)];
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const windowed = values.map(
    (value, place) => (value - mean) * vertical[Math.floor(place / width)]! * horizontal[place % width]!,
  );
  const square = (weights: Float64Array) => weights.reduce((sum, weight) => sum + weight * weight, 0);
  return { windowed, energy: square(vertical) * square(horizontal) };
}

/** The Hann window without its zeros at both ends: every pixel counts. */
function hann(length: number): Float64Array {
  return Float64Array.from({ length }, (_, place) => Math.sin((Math.PI * (place + 1)) / (length + 1)) ** 2);
}

/** |F|² of a picture in the corner of a field of zeros, row-major [rows, columns]. */
function transform(values: Float64Array, height: number, width: number, rows: number, columns: number): Float64Array {
  const along = planOf(columns);
  const real = new Float64Array(rows * columns);
  const imaginary = new Float64Array(rows * columns);
  const [rowIn, rowOut] = [new Float64Array(2 * columns), new Float64Array(2 * columns)];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) rowIn[2 * x] = values[y * width + x]!;
    along.transform(rowOut, rowIn);
    for (let u = 0; u < columns; u++) {
      real[y * columns + u] = rowOut[2 * u]!;
      imaginary[y * columns + u] = rowOut[2 * u + 1]!;
    }
  }
  const across = planOf(rows);
  const power = new Float64Array(rows * columns);
  const [columnIn, columnOut] = [new Float64Array(2 * rows), new Float64Array(2 * rows)];
  for (let u = 0; u < columns; u++) {
    for (let y = 0; y < rows; y++) {
      columnIn[2 * y] = real[y * columns + u]!;
      columnIn[2 * y + 1] = imaginary[y * columns + u]!;
    }
    across.transform(columnOut, columnIn);
    for (let v = 0; v < rows; v++) power[v * columns + u] = columnOut[2 * v]! ** 2 + columnOut[2 * v + 1]! ** 2;
  }
  return power;
}

const plans = new Map<number, FFT>();

/** Tables of sines are made once for each length. */
function planOf(length: number): FFT {
  const plan = plans.get(length) ?? new FFT(length);
  plans.set(length, plan);
  return plan;
}

/** In cycles per pixel, −0.5 to 0.5. */
function frequency(index: number, length: number): number {
  return (index <= length / 2 ? index : index - length) / length;
}

function powerOfTwo(length: number): number {
  // fft.js asks for more than one.
  return Math.max(2, 2 ** Math.ceil(Math.log2(length)));
}
