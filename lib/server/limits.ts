/** What a request may ask of the machine, by the operator's word. */
import { pictureDimensions } from '../image/decode';
import type { BundleManifest } from '../bundle';
import { countImages } from '../plan';
import { pictureSize, type AskedSize } from '../request/pictureSize';
import { invalid } from '../validation/invalid';

import type { ServerSettings } from './options';
import type { ImageRequest } from './request';

/** @throws BAD_OPTION with the limit; BAD_TENSOR for a picture that is none */
export function checkLimits(
  request: ImageRequest,
  manifest: BundleManifest,
  {
    maxPixels,
    maxInputPixels,
    maxImages,
    maxSteps,
  }: Pick<ServerSettings, 'maxPixels' | 'maxInputPixels' | 'maxImages' | 'maxSteps'>,
): void {
  const { image, maskImage } = request;
  refuse('images', countImages(request), maxImages);
  for (const [name, bytes] of Object.entries({ image, maskImage })) {
    if (!bytes) continue;
    const sides = pictureDimensions(bytes, name);
    refuse(`${name}, width x height`, sides.width * sides.height, maxInputPixels);
  }
  checkSize(request, manifest, maxPixels);
  refuse('numInferenceSteps', request.numInferenceSteps ?? 1, maxSteps);
  checkSeed(request);
  checkGuidance(request);
}

/** Pixels of a picture where the operator names no limit, and the bundle does not make more by itself. */
const usualMostPixels = 2048 * 2048;

/** What will be made, whether the request says so, its picture, or the bundle. @throws BAD_OPTION */
function checkSize(request: AskedSize, manifest: BundleManifest, maxPixels: number | undefined): void {
  const { width, height, frames } = pictureSize(request, manifest);
  const own = pictureSize({}, manifest);
  const most = maxPixels ?? Math.max(usualMostPixels, own.width * own.height * own.frames);
  const pixels = width * height * frames;
  if (pixels <= most) return;
  const isVideo = manifest.latent.frames !== undefined;
  const size = isVideo ? `${width} x ${height}, ${frames} frames` : `${width} x ${height}`;
  throw invalid('width x height x numFrames', `at most ${most} on this server`, pixels, {
    note: `${size}; ask for a smaller width${isVideo ? ', height or numFrames' : ' or height'}`,
  });
}

/** Branches, or edits of one, that a plan may have: it is made on the event loop. */
const mostTerms = 64;

function checkGuidance({ guidance }: ImageRequest): void {
  if (typeof guidance !== 'object') return;
  const { detail, branches = [] } = guidance;
  if (Array.isArray(detail)) refuse('guidance.detail, entries', detail.length, mostTerms);
  refuse('guidance.branches, entries', branches.length, mostTerms);
  for (const { edits } of branches) refuse('guidance.branches, edits', edits.length, mostTerms);
}

/** The images of one seed have the following ones, and the answer names them. */
function checkSeed(request: ImageRequest): void {
  if (request.seed === undefined || Array.isArray(request.seed)) return;
  const images = countImages(request);
  const most = Number.MAX_SAFE_INTEGER - images + 1;
  if (Number(request.seed) <= most) return;
  throw invalid('seed', `at most ${most} for ${images} images, as JSON has no larger whole numbers`, request.seed);
}

function refuse(name: string, value: number, most: number): void {
  if (value <= most) return;
  throw invalid(name, `at most ${most} on this server`, value);
}

/** How much an analysis does. */
export interface AnalysisSize {
  numInferenceSteps?: number;
  seeds?: number;
  maximumWindows?: number;
  /** What is drawn, and how large. */
  conditions?: AskedSize | AskedSize[];
}

/** An analysis runs trajectories of its own, each as much work as a picture. @throws BAD_OPTION with the limit */
export function checkAnalysisLimits(
  { numInferenceSteps = 1, seeds, maximumWindows, conditions = {} }: AnalysisSize,
  manifest: BundleManifest,
  { maxPixels, maxImages, maxSteps }: Pick<ServerSettings, 'maxPixels' | 'maxImages' | 'maxSteps'>,
): void {
  refuse('numInferenceSteps', numInferenceSteps, maxSteps);
  const subjects = [conditions].flat();
  refuse('conditions', subjects.length, maxImages);
  for (const subject of subjects) checkSize(subject, manifest, maxPixels);
  refuse('seeds', seeds ?? maximumWindows ?? 1, maxImages);
}
