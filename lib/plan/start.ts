/** Where the sampler starts: from noise, or, for image to image, part of the way along with an image in it. */
import type { BundleManifest } from '../bundle';
import { DetailGuidanceError } from '../validation/errors';
import type { GenerateRequest } from '../call/generateOptions';
import type { Schedule } from '../schedule';

export interface Start {
  /** The steps that are taken. */
  table: Schedule;
  /** The first state is start[0] · image + start[1] · noise; null: noise. */
  start: [number, number] | null;
  /** Inpainting: for each step, what is kept of the image after it. */
  keep: [number, number][] | null;
}

/**
 * Leaves out the steps before `strength`, as diffusers' image-to-image pipelines do.
 *
 * @throws BAD_OPTION for `strength` or `maskImage` without an image, a bundle without encoder, a scheduler for which it
 *   is not defined, or a strength that leaves no step
 */
export function startFromImage(
  table: Schedule,
  { image, maskImage, strength = 0.6 }: Pick<GenerateRequest, 'image' | 'maskImage' | 'strength'>,
  scheduler: string,
  { vae }: BundleManifest,
): Start {
  if (image === undefined) {
    if (maskImage !== undefined) throw refuse('maskImage is given without an image', 'both');
    return { table, start: null, keep: null };
  }
  if (!vae?.encoder) throw refuse('image is given, but this bundle has no VAE encoder', 'leaving it out');
  if (scheduler !== 'flow-match-euler') {
    throw refuse(`image is given, and the scheduler is '${scheduler}'`, "'flow-match-euler'");
  }
  const all = table.steps.length;
  const first = Math.floor(Math.max(all - Math.min(all * strength, all), 0));
  const steps = table.steps.slice(first);
  if (steps.length === 0) {
    throw refuse(`strength ${strength} leaves none of ${all} steps`, `at least ${1 / all}`);
  }
  const mixed = (sigma: number): [number, number] => [1 - sigma, sigma];
  return {
    table: { ...table, steps },
    start: mixed(steps[0]!.sigma),
    keep: maskImage === undefined ? null : steps.map((_, index) => mixed(steps[index + 1]?.sigma ?? 0)),
  };
}

function refuse(found: string, expected: string): DetailGuidanceError {
  return new DetailGuidanceError('BAD_OPTION', `options.${found}; ${expected} would be right.`, { expected });
}
