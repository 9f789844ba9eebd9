/** Pixels to latents by the VAE's encoder. */
import { aside } from '../aside/thread';
import type { VaeManifest } from '../bundle';
import { invalid } from '../validation/invalid';
import { toFloat32, type Tensor, type TensorProgram } from '../tensor';

import { smallLatents } from '../image/latents';

/**
 * Encodes a picture and draws from the distribution that the encoder gives.
 *
 * @param picture float32 [1, 3, height, width]
 * @param latent shape of the result without its batch
 * @param draws for each image unit Gaussian noise of that shape
 * @returns for each image the latents as the sampler takes them
 * @throws MODEL_FAILED, OUT_OF_MEMORY, ABORT_ERR, BUNDLE_INVALID for an encoder that gives another size than described
 */
export async function encodePicture(
  picture: Tensor,
  latent: readonly number[],
  draws: readonly Float32Array[],
  vae: VaeManifest,
  encoder: TensorProgram,
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  const [output] = await encoder.run([picture], signal);
  const channels = latent[0]!;
  const expected = [1, 2 * channels, ...latent.slice(1)].join(', ');
  if (output?.shape.join(', ') !== expected) {
    throw invalid("The output of the VAE's encoder", `[${expected}]`, output?.shape, { code: 'BUNDLE_INVALID' });
  }
  const moments = toFloat32(output);
  const isSmall = draws.length * moments.length < 2 * smallLatents;
  return aside('drawLatents', [moments, draws, channels, vae], { isSmall });
}
