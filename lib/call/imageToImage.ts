/** Image to image and inpainting: the picture and the mask of a call as latents. */
import type { Components } from '../model/components';
import { initialNoise, type LoadedBundle, type StartingPictures } from './generation';
import type { GenerateRequest } from '../request/generateOptions';
import type { Seed } from '../request/seeds';
import type { Plan } from '../plan';
import type { Tensor } from '../tensor';
import { encodePicture, readMask, readPicture } from '../vae';

/**
 * The call's picture as latents; null for a call without one. Without a VAE it is the latent itself. A VAE encodes it; as
 * in diffusers, each image's generator then first draws for the distribution of the VAE and then the sampler's noise,
 * unless `latents` give it.
 *
 * @throws BAD_TENSOR for a picture that cannot be read; what the VAE's encoder throws
 */
export async function startingPictures(
  request: GenerateRequest,
  plan: Plan,
  seeds: Seed[],
  { bundle, addon }: LoadedBundle,
  components: Components,
): Promise<StartingPictures | null> {
  const { image, maskImage, onProgress, signal } = request;
  if (image === undefined || !plan.start) return null;
  const { size } = plan;
  const [rows, columns] = size.latent.slice(-2) as [number, number];
  const picture = await readPicture(image, size, bundle.image.range);
  const mask = maskImage && (await readMask(maskImage, size, [rows, columns]));
  const keepMask: Tensor | null = mask ? { data: mask, shape: [1, 1, rows, columns], dtype: 'float32' } : null;
  if (!bundle.vae) {
    const own = latentOfPixels(picture, size.latent[0]!);
    const image = concatenated(seeds.map(() => own));
    return { image, noise: initialNoise(plan, request, seeds, addon), mask: keepMask };
  }
  const { vae } = bundle;
  const count = size.latent.reduce((product, length) => product * length, 1);
  const draws = seeds.map((seed) => addon.gaussian(BigInt(seed), [2, ...size.latent]).data as Float32Array);
  const noise = request.latents
    ? initialNoise(plan, request, seeds, addon)
    : concatenated(draws.map((both) => both.subarray(count)));
  const total = seeds.length;
  await onProgress?.({ phase: 'encoding', done: 0, total });
  const own = draws.map((both) => both.subarray(0, count));
  const encoded = await components.with(
    'vae.encoder',
    (encoder) => encodePicture(picture, size.latent, own, vae, encoder, signal),
    signal,
  );
  await onProgress?.({ phase: 'encoding', done: total, total });
  return {
    image: concatenated(encoded),
    noise,
    mask: keepMask,
  };
}

/** The picture as a latent of 1 or 3 channels; grey is Rec. 601's luma, as Pillow's `convert('L')` has it. */
function latentOfPixels({ data, shape }: Tensor, channels: number): Float32Array {
  const values = data as Float32Array;
  if (channels === 3) return values;
  const plane = shape[2]! * shape[3]!;
  return Float32Array.from(
    { length: plane },
    (_, at) => 0.299 * values[at]! + 0.587 * values[plane + at]! + 0.114 * values[2 * plane + at]!,
  );
}

function concatenated(parts: Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}
