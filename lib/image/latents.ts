/** Between the sampler's latents, of about unit variance, and those of the VAE; done aside where they are large. */

/** How a VAE's latents are scaled; by channel where `mean` and `std` are there. */
export interface LatentScaling {
  scalingFactor: number;
  shiftFactor: number;
  mean?: readonly number[] | undefined;
  std?: readonly number[] | undefined;
}

/** Numbers that are scaled sooner than sent to a thread. */
export const smallLatents = 2 ** 14;

/** The sampler's latents of one image, [channels, …], as the decoder takes them. */
export function toVae(latents: Float32Array, channels: number, scaling: LatentScaling): Float32Array {
  const plane = latents.length / channels;
  const scaled = new Float32Array(latents.length);
  for (let channel = 0; channel < channels; channel++) {
    const { factor, offset } = termsOf(channel, scaling);
    for (let at = channel * plane; at < (channel + 1) * plane; at++) scaled[at] = latents[at]! * factor + offset;
  }
  return scaled;
}

/**
 * Latents drawn from the distribution that the encoder gives, as the sampler takes them: mean + exp(log variance / 2) · noise.
 *
 * @param moments of one image: means, then log variances
 * @param draws for each result unit Gaussian noise, half as many numbers
 */
export function drawLatents(
  moments: Float32Array,
  draws: readonly Float32Array[],
  channels: number,
  scaling: LatentScaling,
): Float32Array[] {
  const half = moments.length / 2;
  return draws.map((draw) => {
    const sample = new Float32Array(half);
    for (let at = 0; at < half; at++) {
      const logVariance = Math.min(Math.max(moments[half + at]!, -30), 20);
      sample[at] = moments[at]! + Math.exp(logVariance / 2) * draw[at]!;
    }
    return fromVae(sample, channels, scaling);
  });
}

function fromVae(latents: Float32Array, channels: number, scaling: LatentScaling): Float32Array {
  const plane = latents.length / channels;
  const scaled = new Float32Array(latents.length);
  for (let channel = 0; channel < channels; channel++) {
    const { factor, offset } = termsOf(channel, scaling);
    for (let at = channel * plane; at < (channel + 1) * plane; at++) scaled[at] = (latents[at]! - offset) / factor;
  }
  return scaled;
}

/** A VAE's latent = the sampler's · factor + offset. */
const termsOf = (channel: number, { scalingFactor, shiftFactor, mean, std }: LatentScaling) => ({
  factor: std?.[channel] ?? 1 / scalingFactor,
  offset: mean?.[channel] ?? shiftFactor,
});
