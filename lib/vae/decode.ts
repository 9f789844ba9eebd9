/** Latents to pixels by the VAE's decoder. */
import type { VaeManifest } from '../bundle';
import { invalid } from '../validation/invalid';
import { toFloat32, type Tensor, type TensorProgram } from '../tensor';

import type { Planes } from './planes';
import { toVae } from './scaling';
import { decodeTiles } from './tiling';

/**
 * The pictures of one image's latents: one, or the frames of a video. A picture larger than `vae.tileSize` is decoded
 * in tiles.
 *
 * @param latents float32 [1, channels, height, width], or [1, channels, frames, height, width], as sampled
 * @returns for each frame float32 [3, height, width], in the range of the bundle's image
 * @throws MODEL_FAILED, OUT_OF_MEMORY, ABORT_ERR, BUNDLE_INVALID for a decoder that gives another size than described
 */
export async function decodeLatents(
  latents: Tensor,
  vae: VaeManifest,
  decoder: TensorProgram,
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  const channels = latents.shape[1]!;
  const data = toVae(latents.data as Float32Array, channels, vae);
  if (latents.shape.length === 5) return decodeVideo({ ...latents, data }, decoder, signal);
  const decode = async (part: Planes): Promise<Planes> => {
    const shape = [1, part.channels, part.height, part.width];
    const [found] = await decoder.run([{ data: part.data, shape, dtype: 'float32' }], signal);
    const [height, width] = [part.height * vae.scale, part.width * vae.scale];
    return { data: checked(found, [1, 3, height, width]).data as Float32Array, channels: 3, height, width };
  };
  const whole: Planes = { data, channels, height: latents.shape[2]!, width: latents.shape[3]! };
  const tile = Math.floor(vae.tileSize / vae.scale);
  const large = whole.height > tile || whole.width > tile;
  const picture = large ? await decodeTiles(whole, tile, vae.scale, decode) : await decode(whole);
  return [picture.data];
}

async function decodeVideo(latents: Tensor, decoder: TensorProgram, signal?: AbortSignal): Promise<Float32Array[]> {
  const [found] = await decoder.run([latents], signal);
  const { data, shape } = checked(found, [1, 3, null, null, null]);
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
  const found = tensor?.shape ?? [];
  const fits =
    found.length === expected.length && expected.every((size, axis) => size === null || size === found[axis]);
  if (tensor && fits) return { ...tensor, data: toFloat32(tensor), dtype: 'float32' };
  const wanted = `[${expected.map((size) => size ?? 'any').join(', ')}]`;
  throw invalid("The output of the VAE's decoder", wanted, found, {
    code: 'BUNDLE_INVALID',
    shown: `[${found.join(', ')}]`,
  });
}
