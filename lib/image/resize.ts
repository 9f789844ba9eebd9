/** Resizing as Pillow and torchvision do it: a filter that widens on shrinking, first across, then along. */
import type { Raster } from './png';

/** A filter and how far it reaches on each side, in pixels of the larger picture. */
interface Filter {
  reach: number;
  weight: (distance: number) => number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
const filters = {
  bilinear: { reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  lanczos: { reach: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
} satisfies Record<string, Filter>;

interface Tap {
  first: number;
  weights: Float64Array;
}

/**
 * Planes of another size.
 *
 * @param planes [count, height, width]
 * @returns [count, newHeight, newWidth]
 */
export function resize(
  planes: Float32Array,
  count: number,
  [height, width]: readonly [number, number],
  [newHeight, newWidth]: readonly [number, number],
  filter: keyof typeof filters = 'bilinear',
): Float32Array {
  if (height === newHeight && width === newWidth) return planes;
  const across = taps(width, newWidth, filters[filter]);
  const along = taps(height, newHeight, filters[filter]);
  const narrow = new Float64Array(height * newWidth);
  const resized = new Float32Array(count * newHeight * newWidth);
  for (let plane = 0; plane < count; plane++) {
    for (let y = 0; y < height; y++) {
      const row = (plane * height + y) * width;
      for (let x = 0; x < newWidth; x++) {
        const { first, weights } = across[x]!;
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k]! * planes[row + first + k]!;
        narrow[y * newWidth + x] = sum;
      }
    }
    for (let y = 0; y < newHeight; y++) {
      const { first, weights } = along[y]!;
      for (let x = 0; x < newWidth; x++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k]! * narrow[(first + k) * newWidth + x]!;
        resized[(plane * newHeight + y) * newWidth + x] = sum;
      }
    }
  }
  return resized;
}

/**
 * A picture of another size by Lanczos' filter, rounded to levels after each direction: Pillow's
 * `resize(…, Resampling.LANCZOS)`, which diffusers uses for what it is given. Pillow 13 goes along first where the height
 * shrinks much more than the width; earlier ones, and this, never do. It matters where the filter overshoots.
 */
export function resizeRaster(raster: Raster, { width, height }: { width: number; height: number }): Raster {
  const { channels } = raster;
  const plane = raster.width * raster.height;
  let planes = new Float32Array(plane * channels);
  raster.pixels.forEach((level, at) => (planes[(at % channels) * plane + Math.floor(at / channels)] = level));
  const levels = (values: Float32Array) => values.map((value) => Math.min(Math.max(Math.round(value), 0), 255));
  planes = levels(resize(planes, channels, [raster.height, raster.width], [raster.height, width], 'lanczos'));
  planes = levels(resize(planes, channels, [raster.height, width], [height, width], 'lanczos'));
  const size = width * height;
  const pixels = Uint8Array.from(
    { length: size * channels },
    (_, at) => planes[(at % channels) * size + Math.floor(at / channels)]!,
  );
  return { width, height, channels, pixels };
}

/** For each new pixel, the old ones under the filter. */
function taps(length: number, newLength: number, { reach: side, weight }: Filter): Tap[] {
  const scale = length / newLength;
  const stretch = Math.max(1, scale);
  const reach = side * stretch;
  return Array.from({ length: newLength }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(length, Math.floor(centre + reach + 0.5));
    const weights = Float64Array.from({ length: end - first }, (_, k) => weight((first + k + 0.5 - centre) / stretch));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}
