/** From latents to pixels. */
import { setImmediate as nextTurn } from 'node:timers/promises';

import { type DetailGuidanceError } from '../validation/errors';
import { invalid } from '../validation/invalid';

export interface PixelSize {
  channels: number;
  height: number;
  width: number;
}

/**
 * The pixels of one image: the range of the bundle becomes 0 to 255, halves away from zero, beyond it clamped.
 *
 * @param latents float32 [channels, height, width], row-major: latents that are the picture, or what a VAE made of them
 * @returns width * height * channels bytes, channels interleaved
 * @throws MODEL_FAILED when the model's numbers overflowed
 */
export function toPixels(latents: Float32Array, size: PixelSize, range: readonly [number, number]): Uint8Array {
  const pixels = new Uint8Array(latents.length);
  fill(pixels, latents, size, range, 0, size.height * size.width);
  return pixels;
}

/** Positions that are done between two turns of the event loop: well below a millisecond. */
const positionsATurn = 2 ** 14;

/** The same, a slice at a time, so that a large picture does not hold up the event loop. */
export async function toPixelsInTurns(
  latents: Float32Array,
  size: PixelSize,
  range: readonly [number, number],
): Promise<Uint8Array> {
  const plane = size.height * size.width;
  const pixels = new Uint8Array(latents.length);
  for (let from = 0; from < plane; from += positionsATurn) {
    if (from > 0) await nextTurn();
    fill(pixels, latents, size, range, from, Math.min(plane, from + positionsATurn));
  }
  return pixels;
}

function fill(
  pixels: Uint8Array,
  latents: Float32Array,
  { channels, height, width }: PixelSize,
  [black, white]: readonly [number, number],
  from: number,
  to: number,
): void {
  const plane = height * width;
  for (let channel = 0; channel < channels; channel++) {
    for (let position = from; position < to; position++) {
      const value = latents[channel * plane + position]!;
      if (Number.isNaN(value)) throw overflow();
      const level = ((value - black) / (white - black)) * 255;
      pixels[position * channels + channel] = Math.floor(Math.min(Math.max(level, 0), 255) + 0.5);
    }
  }
}

function overflow(): DetailGuidanceError {
  return invalid('The picture', 'finite values', NaN, {
    code: 'MODEL_FAILED',
    note: 'the activations overflowed, or the guidance is too strong: try float32 or bfloat16, or smaller scales',
  });
}
