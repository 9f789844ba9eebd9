/** What a request may ask of the machine, by the operator's word. */
import { pictureDimensions } from '../image/decode';
import { countImages } from '../plan';
import { invalid } from '../validation/invalid';

import type { ServerSettings } from './options';
import type { ImageRequest } from './request';

/** @throws BAD_OPTION with the limit; BAD_TENSOR for a picture that is none */
export function checkLimits(
  request: ImageRequest,
  {
    maxPixels,
    maxInputPixels,
    maxImages,
    maxSteps,
  }: Pick<ServerSettings, 'maxPixels' | 'maxInputPixels' | 'maxImages' | 'maxSteps'>,
): void {
  const { width = 1, height = 1, numFrames = 1, image, maskImage } = request;
  refuse('width x height x numFrames', width * height * numFrames, maxPixels);
  refuse('images', countImages(request), maxImages);
  for (const [name, bytes] of Object.entries({ image, maskImage })) {
    if (!bytes) continue;
    const sides = pictureDimensions(bytes, name);
    refuse(`${name}, width x height`, sides.width * sides.height, maxInputPixels);
  }
  refuse('numInferenceSteps', request.numInferenceSteps ?? 1, maxSteps);
  checkSeed(request);
  checkGuidance(request);
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
  conditions?: unknown;
}

/** An analysis runs trajectories of its own, each as much work as a picture. @throws BAD_OPTION with the limit */
export function checkAnalysisLimits(
  { numInferenceSteps = 1, seeds, maximumWindows, conditions }: AnalysisSize,
  { maxImages, maxSteps }: Pick<ServerSettings, 'maxImages' | 'maxSteps'>,
): void {
  refuse('numInferenceSteps', numInferenceSteps, maxSteps);
  refuse('conditions', Array.isArray(conditions) ? conditions.length : 1, maxImages);
  refuse('seeds', seeds ?? maximumWindows ?? 1, maxImages);
}
