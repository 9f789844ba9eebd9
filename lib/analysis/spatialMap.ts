/** One channel of a hidden state over the picture: as numbers, as a picture, and whether few tokens stand out. */
import { checkObject, invalid } from '../validation/invalid';
import { colourAt, type ColourMap } from '../image/colourMap';
import type { Raster } from '../image/png';
import { toFloat32, type Tensor } from '../tensor';

import { median } from './statistics';

/** One channel of a hidden state over the picture. */
export interface SpatialMap {
  /** Rows of tokens. */
  height: number;
  /** Columns of tokens. */
  width: number;
  /** Row by row. */
  values: Float32Array;
}

/**
 * The values of one channel at the image tokens; of a video, at those of the last frame.
 *
 * @param hidden [tokens, channels] or [1, tokens, channels] as records and hooks give them
 * @param grid rows and columns of the image tokens
 * @param first whose tokens come first when the hidden state has text tokens too. Default text
 * @throws CHANNEL_OUT_OF_RANGE; BAD_TENSOR for a hidden state with fewer tokens than the grid, or of several images
 */
export function spatialMap(
  hidden: Tensor,
  channel: number,
  grid: readonly [rows: number, columns: number],
  first: 'text-first' | 'image-first' = 'text-first',
): SpatialMap {
  checkObject(hidden, 'hidden', 'a tensor { data, shape, dtype }');
  checkObject(grid, 'grid', '[rows, columns] of the tokens');
  const [height, width] = grid;
  const [tokens = 0, channels = 0] = hidden.shape.slice(-2);
  if (hidden.shape.slice(0, -2).some((size) => size !== 1) || tokens < height * width) {
    throw invalid('The hidden state', `one image's, [${height * width} tokens or more, channels]`, hidden.shape, {
      code: 'BAD_TENSOR',
      note: `for a map of ${height} x ${width} tokens`,
    });
  }
  if (!Number.isInteger(channel) || channel < 0 || channel >= channels) {
    throw invalid('channel', `a channel from 0 to ${channels - 1}`, channel, { code: 'CHANNEL_OUT_OF_RANGE' });
  }
  const data = toFloat32(hidden);
  const offset = first === 'text-first' ? tokens - height * width : 0;
  const values = Float32Array.from({ length: height * width }, (_, t) => data[(offset + t) * channels + channel]!);
  return { height, width, values };
}

/** How a map is drawn. */
export interface MapPicture {
  /** Default viridis; blue-red is centred on 0. */
  colours?: ColourMap;
  /** Values of the two ends of the colours. Default: the map's own, for blue-red symmetric about 0. */
  range?: readonly [low: number, high: number];
  /** Pixels along a token's side. Default 8. */
  zoom?: number;
}

/** A map as an RGB picture, `zoom` times the grid; NaN is magenta. */
export function drawMap(map: SpatialMap, options: MapPicture = {}): Raster {
  checkObject(map, 'map', 'a map { height, width, values }');
  const { height, width, values } = map;
  const { colours = 'viridis', zoom = 8 } = options;
  const [low, high] = options.range ?? rangeOf(values, colours);
  const pixels = new Uint8Array(height * zoom * width * zoom * 3);
  for (let y = 0; y < height * zoom; y++) {
    for (let x = 0; x < width * zoom; x++) {
      const value = values[Math.floor(y / zoom) * width + Math.floor(x / zoom)]!;
      // A constant map is drawn in the middle of the colours.
      const place = high > low ? (value - low) / (high - low) : Number.isNaN(value) ? NaN : 0.5;
      pixels.set(colourAt(colours, place), (y * width * zoom + x) * 3);
    }
  }
  return { height: height * zoom, width: width * zoom, channels: 3, pixels };
}

function rangeOf(values: Float32Array, colours: ColourMap): [number, number] {
  const finite = values.filter(Number.isFinite);
  const low = finite.reduce((least, value) => Math.min(least, value), Infinity);
  const high = finite.reduce((most, value) => Math.max(most, value), -Infinity);
  if (colours !== 'blue-red') return [low, high];
  const largest = Math.max(Math.abs(low), Math.abs(high));
  return [-largest, largest];
}

/** Whether few tokens stand out of a map. */
export interface Selectivity {
  /** Median of |z| over the outlier tokens over that of the typical ones; 1 without outliers. */
  selectivity: number;
  /** Indices of the outlier tokens, row by row. */
  outliers: number[];
}

/**
 * Whether a channel is strong at a few tokens only. Massive activations are said to be strong at every token (Gan et
 * al.); others report speckles (Turri et al., arXiv 2605.13974).
 *
 * @param outliers tokens to compare with the others, such as high-norm tokens. Default: those whose |z| is more than
 *   3 scaled median absolute deviations above the median
 */
export function selectivity(map: SpatialMap, outliers?: readonly number[]): Selectivity {
  checkObject(map, 'map', 'a map { height, width, values }');
  const magnitudes = Array.from(map.values, Math.abs);
  const chosen = outliers ? [...outliers] : farAbove(magnitudes);
  const outside = new Set(chosen);
  if (outside.size === 0 || outside.size === magnitudes.length) return { selectivity: 1, outliers: chosen };
  const typical = median(magnitudes.filter((_, token) => !outside.has(token)));
  return { selectivity: median(chosen.map((token) => magnitudes[token]!)) / typical, outliers: chosen };
}

/** 1.4826 makes the median absolute deviation of a Gaussian its standard deviation. */
function farAbove(magnitudes: number[]): number[] {
  const middle = median(magnitudes);
  const limit = middle + 3 * 1.4826 * median(magnitudes.map((value) => Math.abs(value - middle)));
  return magnitudes.flatMap((value, token) => (value > limit ? [token] : []));
}
