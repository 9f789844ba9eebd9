/** Brightness of a picture, on which spectra and fidelity are measured. */

/** A grey picture as numbers. */
export interface Luminance {
  /** Row-major, 0 black to 1 white. */
  values: Float64Array;
  height: number;
  width: number;
}

/**
 * Luma of Rec. 601 (0.299 R + 0.587 G + 0.114 B), 0 to 1.
 *
 * @param pixels height * width * channels bytes, channels interleaved; 1 or 3 channels
 */
export function luminance(pixels: Uint8Array, height: number, width: number, channels: number): Luminance {
  const values = new Float64Array(height * width);
  for (let place = 0; place < values.length; place++) {
    const at = place * channels;
    values[place] =
      (channels === 1 ? pixels[at]! : 0.299 * pixels[at]! + 0.587 * pixels[at + 1]! + 0.114 * pixels[at + 2]!) / 255;
  }
  return { values, height, width };
}
