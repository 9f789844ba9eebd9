/** What distances between feature distributions are called. */

/** What the two distances in some network's features are called. */
export interface DistanceNames {
  /** FID, or Fréchet distance with the network's name. */
  frechet: string;
  /** KID, or kernel distance with the network's name. */
  kernel: string;
}

/** FID and KID are the distances in the features of Inception-v3 alone; others are called after theirs. */
export function distanceNames(features: string): DistanceNames {
  if (/^inception[-_ ]?v3$/i.test(features)) return { frechet: 'FID', kernel: 'KID' };
  return { frechet: `Fréchet distance (${features})`, kernel: `kernel distance (${features})` };
}
