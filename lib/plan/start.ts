/** Where the sampler starts: from noise, or, for image to image, part of the way along with an image in it. */
import type { BundleManifest } from '../bundle';
import { invalid } from '../validation/invalid';
import type { GenerateRequest } from '../request/generateOptions';
import type { Schedule } from '../schedule';

export interface Start {
  /** The steps that are taken. */
  table: Schedule;
  /** The first state is start[0] · image + start[1] · noise; null: noise. */
  start: [number, number] | null;
  /** Inpainting: for each step, what is kept of the image after it. */
  keep: [number, number][] | null;
}

/** How much of the picture is noise at the start, where nobody says. */
export const defaultStrength = 0.6;

/**
 * Leaves out the steps before `strength`, as diffusers' image-to-image pipelines do.
 *
 * @throws BAD_OPTION for `strength` or `maskImage` without an image, a bundle without encoder, a scheduler for which it
 *   is not defined, or a strength that leaves no step
 */
export function startFromImage(
  table: Schedule,
  { image, maskImage, strength }: Pick<GenerateRequest, 'image' | 'maskImage' | 'strength'>,
  scheduler: string,
  { vae, latent }: BundleManifest,
): Start {
  if (image === undefined) {
    if (maskImage !== undefined) throw invalid('options.image', 'a picture, beside maskImage', image);
    if (strength !== undefined) throw invalid('options.image', 'a picture, beside strength', image);
    return { table, start: null, keep: null };
  }
  // Without a VAE the latent is the picture itself, and nothing has to encode it.
  if (vae ? !vae.encoder : latent.frames !== undefined)
    throw invalid('options.image', 'nothing', image, { shown: 'a picture', note: 'this bundle has no VAE encoder' });
  if (scheduler !== 'flow-match-euler') {
    throw invalid('options.scheduler', "'flow-match-euler', with an image", scheduler);
  }
  const all = table.steps.length;
  const first = Math.floor(Math.max(all - Math.min(all * (strength ?? defaultStrength), all), 0));
  const steps = table.steps.slice(first);
  if (steps.length === 0) {
    throw invalid('options.strength', `at least ${1 / all}, one of ${all} steps`, strength);
  }
  const mixed = (sigma: number): [number, number] => [1 - sigma, sigma];
  return {
    table: { ...table, steps },
    start: mixed(steps[0]!.sigma),
    keep: maskImage === undefined ? null : steps.map((_, index) => mixed(steps[index + 1]?.sigma ?? 0)),
  };
}
