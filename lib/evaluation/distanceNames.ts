/** What distances between feature distributions are called. */

/** FID and KID are the distances in the features of Inception-v3 alone; others are called after theirs. */
export function distanceNames(features: string): { frechet: string; kernel: string } {
  if (/^inception[-_ ]?v3$/i.test(features)) return { frechet: 'FID', kernel: 'KID' };
  return { frechet: `Fréchet distance (${features})`, kernel: `kernel distance (${features})` };
}
