/** Metrics of generated pictures against reference pictures, from what was measured of both. */
import { estimate, type Estimate } from './bootstrap';
import type { Features } from './features';
import { frechetDistance, gaussianOf, type Gaussian } from './frechet';
import { groupedMoments, jackknifeError } from './jackknife';
import { kernelDistance, type KernelDistance } from './kernelDistance';
import type { Measurement } from './measurement';
import { momentsOf } from './moments';
import type { EvaluateRequest } from './options';
import { Pace } from './pace';
import { manifoldOf, precisionAndRecall, type Manifold, type PrecisionRecall } from './precisionRecall';
import { spectrumDistance } from './spectrum';

/** What all comparisons with one reference have in common. */
export interface Reference {
  measurement: Measurement;
  gaussian: Gaussian;
  manifold: Manifold;
  radial: Float64Array;
  highShare: number;
  recognised: number | null;
}

/** Fréchet distance (Heusel et al., arXiv 1706.08500) of the features of two sets. */
export interface FrechetDistance {
  /** d², in squared units of the features. */
  distance: number;
  /** By leaving out groups of generated images, the reference counting as it is; null without groups. */
  standardError: number | null;
  /** Distances without each group, for paired differences. */
  withoutGroups: number[];
}

/** Mean radial power spectrum of the luminance, against the reference's. */
export interface SpectrumComparison {
  /** Root mean square difference of the mean radial spectra, in dB. */
  distance: number;
  /** Mean share of energy above the cutoff. */
  highShare: Estimate;
  /** Mean power in each ring; `ringFrequencies` has their frequencies. */
  radial: number[];
}

/** Generated pictures against the reference. */
export interface Comparison {
  /** Distance of the feature distributions as Gaussians. */
  frechet: FrechetDistance;
  /** Distance of the feature distributions by a polynomial kernel. */
  kernel: KernelDistance;
  /** How much of each set lies in the manifold of the other. */
  precisionRecall: PrecisionRecall;
  /** Share of pictures in which the classifier sees the class that was asked for; null without labels or classifier. */
  recognised: Estimate | null;
  /** How much fine structure there is. */
  spectrum: SpectrumComparison;
}

/** A difference of two Fréchet distances. */
export interface FrechetDifference {
  /** In squared units of the features. */
  value: number;
  /** By leaving out the same groups of both; null without groups. */
  standardError: number | null;
}

/** Of a setting to the first one, on the same seeds. */
export interface Difference {
  /** Of the Fréchet distance. */
  frechet: FrechetDifference;
}

type Request = Pick<EvaluateRequest, 'kernel' | 'manifold' | 'samples' | 'errorGroups' | 'seed' | 'signal'>;

/** Above this many features an eigenvalue decomposition takes seconds, and the standard error needs one a group. */
const widestWithError = 512;

/** @throws BAD_OPTION for too few images, BAD_TENSOR for features that are not finite, ABORT_ERR */
export async function referenceOf(
  measurement: Measurement,
  labels: Int32Array | null,
  { manifold, samples, signal }: Request,
): Promise<Reference> {
  const pace = new Pace(signal);
  const named = recognition(measurement.scores, labels);
  // A larger set has smaller balls and more to recall: as many of each, as in the paper.
  const images = Math.min(manifold.images, samples);
  return {
    measurement,
    gaussian: gaussianOf(await momentsOf(measurement.features, pace)),
    manifold: await manifoldOf(measurement.features, { ...manifold, images }, pace),
    radial: columnMeans(measurement.radial),
    highShare: meanOf(measurement.highShares),
    recognised: named && meanOf(named),
  };
}

/** @throws BAD_OPTION for too few images, BAD_TENSOR for features that are not finite, ABORT_ERR */
export async function compare(
  reference: Reference,
  measurement: Measurement,
  labels: Int32Array | null,
  { kernel, manifold, errorGroups, seed, signal }: Request,
): Promise<Comparison> {
  const pace = new Pace(signal);
  const { features } = measurement;
  const groups = errorGroups ?? (features.width > widestWithError ? 0 : 20);
  const { all, without } = await groupedMoments(features, groups, pace);
  const withoutGroups: number[] = [];
  for (const moments of without) {
    withoutGroups.push(frechetDistance(reference.gaussian, moments));
    await pace.breathe();
  }
  const images = reference.manifold.features.count;
  const generated = await manifoldOf(features, { ...manifold, images }, pace);
  const radial = columnMeans(measurement.radial);
  const named = recognition(measurement.scores, labels);
  return {
    frechet: {
      distance: frechetDistance(reference.gaussian, all),
      standardError: jackknifeError(withoutGroups),
      withoutGroups,
    },
    kernel: await kernelDistance(reference.measurement.features, features, { ...kernel, seed }, pace),
    precisionRecall: await precisionAndRecall(reference.manifold, generated, manifold.neighbours, pace),
    recognised: named && estimate([named]),
    spectrum: {
      distance: spectrumDistance(radial, reference.radial),
      highShare: estimate([measurement.highShares]),
      radial: [...radial],
    },
  };
}

/** Paired: the same groups of seeds are left out on both sides. */
export function differences(first: Comparison, other: Comparison): Difference {
  const [a, b] = [first.frechet, other.frechet];
  return {
    frechet: {
      value: b.distance - a.distance,
      standardError: jackknifeError(b.withoutGroups.map((distance, group) => distance - a.withoutGroups[group]!)),
    },
  };
}

/** For each picture 1 where the highest score is that of its label, else 0. */
export function recognition(scores: Features | null, labels: Int32Array | null): Uint8Array | null {
  if (!scores || !labels) return null;
  const recognised = topClasses(scores);
  return Uint8Array.from(recognised, (label, picture) => Number(label === labels[picture]));
}

/** The class with the highest score of each picture. */
export function topClasses({ values, count, width }: Features): Int32Array {
  return Int32Array.from({ length: count }, (_, picture) => {
    let best = 0;
    for (let index = 1; index < width; index++) {
      if (values[picture * width + index]! > values[picture * width + best]!) best = index;
    }
    return best;
  });
}

export function columnMeans({ values, count, width }: Features): Float64Array {
  const means = new Float64Array(width);
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < width; column++) means[column]! += values[row * width + column]!;
  }
  return means.map((sum) => sum / count);
}

function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += values[index]!;
  return sum / values.length;
}
