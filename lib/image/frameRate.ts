/** How fast videos play. */
import { invalid } from '../validation/invalid';

/** Frames a second that a video may have. */
export const frameRates = { least: 0.1, most: 240 } as const;

/** Frames a second of a video whose bundle does not say. */
export const usualFrameRate = 24;

/** @throws BAD_OPTION */
export function checkFrameRate(frameRate: number, name = 'frameRate'): void {
  const { least, most } = frameRates;
  if (typeof frameRate === 'number' && frameRate >= least && frameRate <= most) return;
  throw invalid(name, `a number from ${least} to ${most}`, frameRate);
}
