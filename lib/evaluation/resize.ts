/** Resizing by antialiased bilinear interpolation, as Pillow and torchvision do it: a triangle filter that widens on shrinking. */

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
): Float32Array {
  if (height === newHeight && width === newWidth) return planes;
  const across = taps(width, newWidth);
  const along = taps(height, newHeight);
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

/** For each new pixel, the old ones under its triangle. */
function taps(length: number, newLength: number): Tap[] {
  const scale = length / newLength;
  const reach = Math.max(1, scale);
  return Array.from({ length: newLength }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(length, Math.floor(centre + reach + 0.5));
    const weights = Float64Array.from({ length: end - first }, (_, k) =>
      Math.max(0, 1 - Math.abs((first + k + 0.5 - centre) / reach)),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}
