/** Latents to pixels by the VAE's decoder. */
import type { VaeManifest } from '../bundle';
import { DetailGuidanceError } from '../validation/errors';
import { invalid } from '../validation/invalid';
import { toFloat32, type Tensor, type TensorProgram } from '../tensor';

import type { Planes } from './planes';
import { toVae } from './scaling';
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

/**
 * The pictures of one image's latents: one, or the frames of a video.
 *
 * @param latents float32 [1, channels, height, width], or [1, channels, frames, height, width], as sampled
 * @returns for each frame float32 [3, height, width], in the range of the bundle's image
 * @throws MODEL_FAILED, OUT_OF_MEMORY, ABORT_ERR, BUNDLE_INVALID for a decoder that gives another size than described
 */
export async function decodeLatents(
  latents: Tensor,
  vae: VaeManifest,
  decoder: TensorProgram,
  { tiling = false, onWarning, signal }: DecodingOptions = {},
): Promise<Float32Array[]> {
  const channels = latents.shape[1]!;
  const data = toVae(latents.data as Float32Array, channels, vae);
  if (latents.shape.length === 5) return decodeVideo({ ...latents, data }, decoder, signal);
  const decode = async (part: Planes): Promise<Planes> => {
    const shape = [1, part.channels, part.height, part.width];
    const [output] = await decoder.run([{ data: part.data, shape, dtype: 'float32' }], signal);
    const [height, width] = [part.height * vae.scale, part.width * vae.scale];
    return { data: checked(output, [1, 3, height, width]).data as Float32Array, channels: 3, height, width };
  };
  const whole: Planes = { data, channels, height: latents.shape[2]!, width: latents.shape[3]! };
  const tile = Math.floor(vae.tileSize / vae.scale);
  const large = whole.height > tile || whole.width > tile;
  if (large && tiling) return [(await decodeTiles(whole, tile, vae.scale, decode)).data];
  try {
    return [(await decode(whole)).data];
  } catch (error) {
    if (!large || !(error instanceof DetailGuidanceError) || error.code !== 'OUT_OF_MEMORY') throw error;
    await onWarning?.(tiled(whole, vae));
    return [(await decodeTiles(whole, tile, vae.scale, decode)).data];
  }
}

function tiled({ width, height }: Planes, { scale, tileSize }: VaeManifest): PictureTiled {
  const message =
    `There is not enough memory to decode ${width * scale} x ${height * scale} pixels at once: they are decoded in tiles ` +
    `of ${tileSize}, which changes them a little. vaeTiling: true does so from the start.`;
  return { code: 'PICTURE_TILED', message };
}

async function decodeVideo(latents: Tensor, decoder: TensorProgram, signal?: AbortSignal): Promise<Float32Array[]> {
  const [output] = await decoder.run([latents], signal);
  const { data, shape } = checked(output, [1, 3, null, null, null]);
  const [frames, height, width] = shape.slice(2) as [number, number, number];
  const plane = height * width;
  return Array.from({ length: frames }, (_, frame) => {
    const picture = new Float32Array(3 * plane);
    for (let channel = 0; channel < 3; channel++) {
      const start = (channel * frames + frame) * plane;
      picture.set((data as Float32Array).subarray(start, start + plane), channel * plane);
    }
    return picture;
  });
}

/** The tensor in float32, of the expected shape. */
function checked(tensor: Tensor | undefined, expected: (number | null)[]): Tensor {
  const shape = tensor?.shape ?? [];
  const fits =
    shape.length === expected.length && expected.every((size, axis) => size === null || size === shape[axis]);
  if (tensor && fits) return { ...tensor, data: toFloat32(tensor), dtype: 'float32' };
  const form = `[${expected.map((size) => size ?? 'any').join(', ')}]`;
  throw invalid("The output of the VAE's decoder", form, shape, {
    code: 'BUNDLE_INVALID',
    shown: `[${shape.join(', ')}]`,
  });
}
