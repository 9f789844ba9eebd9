/** Latents to pixels by the VAE's decoder. */
import { aside } from '../aside/thread';
import type { VaeManifest } from '../bundle';
import { overflow } from '../image/levels';
import type { NativePictures } from '../native';
import { DetailGuidanceError } from '../validation/errors';
import { invalid } from '../validation/invalid';
import { toFloat32, type Tensor, type TensorProgram } from '../tensor';

import type { Planes } from './planes';
import { smallLatents } from '../image/latents';
import { decodeTiles } from './tiling';
import type { WarningOf } from '../validation/ofKind';

/** A picture was decoded in tiles, since its decoder ran out of memory. */
export type PictureTiled = WarningOf<'PICTURE_TILED'>;

export interface DecodingOptions {
  /** Decode what is larger than `vae.tileSize` in tiles from the start. Default false: where memory runs out. */
  tiling?: boolean;
  onWarning?: ((warning: PictureTiled) => unknown) | undefined;
  signal?: AbortSignal | undefined;
}

/** A VAE's decoder. */
export interface Decoder extends TensorProgram {
  /** The pixels of what it gives; see `NativeComponent.pictures`. */
  pictures(latents: Tensor, form: PictureForm, signal?: AbortSignal): Promise<NativePictures>;
}

/** What the pictures of a call look like. */
export interface PictureForm {
  height: number;
  width: number;
  /** The values that are black and white. */
  range: readonly [number, number];
}

/**
 * The pictures of one image's latents: one, or the frames of a video.
 *
 * @param latents float32 [1, channels, height, width], or [1, channels, frames, height, width], as sampled
 * @param range the values that are black and white
 * @returns for each frame width * height * 3 bytes, channels interleaved
 * @throws MODEL_FAILED, OUT_OF_MEMORY, ABORT_ERR, BUNDLE_INVALID for a decoder that gives another size than described
 */
export async function decodeLatents(
  latents: Tensor,
  vae: VaeManifest,
  decoder: Decoder,
  range: readonly [number, number],
  { tiling = false, onWarning, signal }: DecodingOptions = {},
): Promise<Uint8Array[]> {
  const channels = latents.shape[1]!;
  const [rows, columns] = latents.shape.slice(-2) as [number, number];
  const form = { height: rows * vae.scale, width: columns * vae.scale, range };
  const sampled = latents.data as Float32Array;
  const data = await aside('toVae', [sampled, channels, vae], { isSmall: sampled.length < smallLatents });
  const decodeWhole = async () => {
    const { shape, frames, overflowed } = await decoder.pictures({ ...latents, data }, form, signal);
    const length = latents.shape.length === 5 ? [1 + (latents.shape[2]! - 1) * (vae.frameScale ?? 1)] : [];
    const expected = [1, 3, ...length, form.height, form.width];
    requireShape(frames.length === 0 ? [] : shape, expected, shape);
    if (overflowed) throw overflow();
    return frames;
  };
  if (latents.shape.length === 5) return decodeWhole();
  const whole: Planes = { data, channels, height: rows, width: columns };
  // Neighbours overlap by a quarter, in whole cells.
  const tile = 4 * Math.max(1, Math.floor(vae.tileSize / vae.scale / 4));
  const large = rows > tile || columns > tile;
  const decodeInTiles = async () => {
    const { data: values } = await decodeTiles(whole, tile, vae.scale, (part) =>
      decodeTile(part, vae, decoder, signal),
    );
    return [await aside('toPixels', [values, { channels: 3, ...form }, range], { givenAway: [values] })];
  };
  if (large && tiling) return decodeInTiles();
  try {
    return await decodeWhole();
  } catch (error) {
    if (!large || !(error instanceof DetailGuidanceError) || error.code !== 'OUT_OF_MEMORY') throw error;
    await onWarning?.(tiled(whole, tile, vae));
    return decodeInTiles();
  }
}

async function decodeTile(
  { data, channels, height, width }: Planes,
  { scale }: VaeManifest,
  decoder: TensorProgram,
  signal?: AbortSignal,
): Promise<Planes> {
  const [output] = await decoder.run([{ data, shape: [1, channels, height, width], dtype: 'float32' }], signal);
  const size = { height: height * scale, width: width * scale };
  requireShape(output?.shape ?? [], [1, 3, size.height, size.width]);
  return { data: toFloat32(output!), channels: 3, ...size };
}

function tiled({ width, height }: Planes, tile: number, { scale }: VaeManifest): PictureTiled {
  const message =
    `There is not enough memory to decode ${width * scale} x ${height * scale} pixels at once: they are decoded in tiles ` +
    `of ${tile * scale}, which changes them a little. vaeTiling: true does so from the start.`;
  return { code: 'PICTURE_TILED', message };
}

/** @throws BUNDLE_INVALID */
function requireShape(shape: readonly number[], expected: readonly number[], shown = shape): void {
  if (shape.length === expected.length && expected.every((size, axis) => size === shape[axis])) return;
  throw invalid("The output of the VAE's decoder", `[${expected.join(', ')}]`, shown, {
    code: 'BUNDLE_INVALID',
    shown: `[${shown.join(', ')}]`,
  });
}
