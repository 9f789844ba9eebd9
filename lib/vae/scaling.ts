/** Between the sampler's latents, of about unit variance, and those of the VAE. */
import type { VaeManifest } from '../bundle';

/** The sampler's latents of one image, [channels, …], as the decoder takes them. */
export function toVae(latents: Float32Array, channels: number, vae: VaeManifest): Float32Array {
  const plane = latents.length / channels;
  const scaled = new Float32Array(latents.length);
  for (let channel = 0; channel < channels; channel++) {
    const { factor, offset } = scalingOf(channel, vae);
    for (let at = channel * plane; at < (channel + 1) * plane; at++) scaled[at] = latents[at]! * factor + offset;
  }
  return scaled;
}

/** The encoder's latents of one image as the sampler takes them. */
export function fromVae(latents: Float32Array, channels: number, vae: VaeManifest): Float32Array {
  const plane = latents.length / channels;
  const scaled = new Float32Array(latents.length);
  for (let channel = 0; channel < channels; channel++) {
    const { factor, offset } = scalingOf(channel, vae);
    for (let at = channel * plane; at < (channel + 1) * plane; at++) scaled[at] = (latents[at]! - offset) / factor;
  }
  return scaled;
}

/** A VAE's latent = the sampler's · factor + offset. */
const scalingOf = (channel: number, { scalingFactor, shiftFactor, mean, std }: VaeManifest) => ({
  factor: std?.[channel] ?? 1 / scalingFactor,
  offset: mean?.[channel] ?? shiftFactor,
});
