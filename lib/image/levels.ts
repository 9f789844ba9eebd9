/** From values to pixels. */
import { type DetailGuidanceError } from '../validation/errors';
import { invalid } from '../validation/invalid';

export interface PixelSize {
  channels: number;
  height: number;
  width: number;
}

/**
 * The pixels of one picture: the range of the bundle becomes 0 to 255, halves away from zero, beyond it clamped.
 *
 * @param values float32 [channels, height, width], row-major: latents that are the picture, or what a VAE made of them
 * @returns width * height * channels bytes, channels interleaved
 * @throws MODEL_FAILED when the model's numbers overflowed
 */
export function toPixels(
  values: Float32Array,
  { channels, height, width }: PixelSize,
  [black, white]: readonly [number, number],
): Uint8Array {
  const plane = height * width;
  const pixels = new Uint8Array(values.length);
  for (let channel = 0; channel < channels; channel++) {
    for (let position = 0; position < plane; position++) {
      const value = values[channel * plane + position]!;
      if (!Number.isFinite(value)) throw overflow(value);
      const level = ((value - black) / (white - black)) * 255;
      pixels[position * channels + channel] = Math.floor(Math.min(Math.max(level, 0), 255) + 0.5);
    }
  }
  return pixels;
}

/** A value of a picture is no number, or infinite. */
export function overflow(value = NaN): DetailGuidanceError {
  return invalid('The picture', 'finite values', value, {
    code: 'MODEL_FAILED',
    note: 'the activations overflowed, or the guidance is too strong: try float32 or bfloat16, or smaller scales',
  });
}
