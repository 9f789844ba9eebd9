/** How fast a bundle's videos play. */
import { usualFrameRate } from '../image/frameRate';

import type { BundleDescription } from './bundle';

/** Frames a second of a video; null for a bundle of pictures. */
export function frameRateOf({ latent, defaults }: Pick<BundleDescription, 'latent' | 'defaults'>): number | null {
  return latent.frames === undefined ? null : (defaults?.frameRate ?? usualFrameRate);
}
