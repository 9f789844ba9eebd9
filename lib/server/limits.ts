/** What a request may ask of the machine, by the operator's word. */
import { invalid } from '../validation/invalid';

import type { ServerSettings } from './options';
import type { ImageRequest } from './request';

/** @throws BAD_OPTION with the limit */
export function checkLimits(
  request: ImageRequest,
  { maxPixels, maxImages, maxSteps }: Pick<ServerSettings, 'maxPixels' | 'maxImages' | 'maxSteps'>,
): void {
  const { width = 1, height = 1, numFrames = 1, numImages = 1 } = request;
  const lists = [request.prompt, request.classLabel, request.seed].map((value) =>
    Array.isArray(value) ? value.length : 1,
  );
  refuse('width x height x numFrames', width * height * numFrames, maxPixels);
  refuse('images', Math.max(numImages, request.latents?.shape[0] ?? 1, ...lists), maxImages);
  refuse('numInferenceSteps', request.numInferenceSteps ?? 1, maxSteps);
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
