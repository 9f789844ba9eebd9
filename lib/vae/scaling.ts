/** Between the sampler's latents, of about unit variance, and those of the VAE. */
import type { VaeManifest } from '../bundle';

/** The sampler's latents of one image, [channels, …], as the decoder takes them. */
export function toVae(latents: Float32Array, channels: number, vae: VaeManifest): Float32Array {
  return perChannel(latents, channels, vae, (value, factor, offset) => value * factor + offset);
}

/** The encoder's latents of one image as the sampler takes them. */
export function fromVae(latents: Float32Array, channels: number, vae: VaeManifest): Float32Array {
  return perChannel(latents, channels, vae, (value, factor, offset) => (value - offset) / factor);
}

/** A VAE's latent = the sampler's · factor + offset. */
function perChannel(
  latents: Float32Array,
  channels: number,
  { scalingFactor, shiftFactor, mean, std }: VaeManifest,
  change: (value: number, factor: number, offset: number) => number,
): Float32Array {
  const plane = latents.length / channels;
  return latents.map((value, at) => {
    const channel = Math.floor(at / plane);
    return change(value, std?.[channel] ?? 1 / scalingFactor, mean?.[channel] ?? shiftFactor);
  });
}
