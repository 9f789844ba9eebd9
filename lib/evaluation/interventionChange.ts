/** What an intervention changed in the pictures, gathered a picture at a time and summed up over seeds. */
import type { GuidanceOptions } from '../guidance';
import type { Raster } from '../image/png';

import { estimate, type Estimate } from './bootstrap';
import { columnMeans } from './comparison';
import { joinFeatures, type Features } from './features';
import { psnr, signalToNoise, type Band, type Fidelity } from './fidelity';
import type { RunRecord } from './runRecord';
import { spectrumDistance } from './spectrum';

/** Against the undisturbed pictures of the same seeds; estimates have 95 % intervals over seeds. */
export interface BandChange {
  /** Of the mean squared error over all pictures, in dB, for luminance from 0 to 1; null for pictures that are equal. */
  psnr: Estimate | null;
  /** Signal-to-noise ratio in dB: the variance of the undisturbed band by the error; comparable between bands. */
  snr: Estimate | null;
  /** Mean structural similarity, −1 to 1. */
  ssim: Estimate;
}

/** One intervention, and what it changed. */
export interface Intervention {
  /** As the options have it. */
  name: string;
  /** With all defaults filled in. */
  guidance: GuidanceOptions;
  /** Mean share of energy above the cutoff. */
  highShare: Estimate;
  /** That by the undisturbed pictures' mean share. */
  highShareRatio: Estimate;
  /** Mean power in rings; frequencies in `ringFrequencies`. */
  radial: number[];
  /** Root mean square difference to the undisturbed mean spectrum, in dB. */
  spectrumDistance: number;
  /** Share of pictures in which the classifier sees what it sees in the undisturbed one; null without. */
  sameClass: Estimate | null;
  /** Share in which it sees the class that was asked for; null without classifier or classes. */
  recognised: Estimate | null;
  /** The picture as a whole, its low and its high frequencies. */
  bands: Record<Band, BandChange>;
  /** The first ones, if they were asked for. */
  pictures: Raster[];
}

/** What `runInterventions` gives. */
export interface InterventionResult extends RunRecord {
  /** The pictures without an intervention. */
  undisturbed: Pick<Intervention, 'guidance' | 'highShare' | 'radial' | 'recognised' | 'pictures'>;
  /** In the order of the options. */
  interventions: Intervention[];
}

/** What is gathered of one intervention, a value a picture. */
export interface Gathered {
  highShares: number[];
  radial: Features[];
  seen: number[];
  named: number[];
  changes: Record<Band, Fidelity[]>;
  pictures: Raster[];
}

export function emptyGathered(): Gathered {
  return {
    highShares: [],
    radial: [],
    seen: [],
    named: [],
    changes: { whole: [], low: [], high: [] },
    pictures: [],
  };
}

/** @param undisturbed what was gathered of the same seeds without intervention */
export function summarise(name: string, guidance: GuidanceOptions, of: Gathered, undisturbed: Gathered): Intervention {
  const radial = columnMeans(joinFeatures(of.radial, of.radial[0]!.width));
  const before = columnMeans(joinFeatures(undisturbed.radial, radial.length));
  const same = of.seen.map((label, index) => Number(label === undisturbed.seen[index]));
  return {
    name,
    guidance,
    highShare: estimate([of.highShares]),
    highShareRatio: estimate([of.highShares, undisturbed.highShares], ([now, then]) => now! / then!),
    radial: [...radial],
    spectrumDistance: spectrumDistance(radial, before),
    sameClass: same.length > 0 ? estimate([same]) : null,
    recognised: of.named.length > 0 ? estimate([of.named]) : null,
    bands: {
      whole: bandChange(of.changes.whole),
      low: bandChange(of.changes.low),
      high: bandChange(of.changes.high),
    },
    pictures: of.pictures,
  };
}

function bandChange(changes: Fidelity[]): BandChange {
  const errors = changes.map(({ squaredError }) => squaredError);
  const signals = changes.map(({ signal }) => signal);
  const changed = errors.some((error) => error > 0);
  return {
    psnr: changed ? estimate([errors], ([error]) => psnr(error!)) : null,
    snr: changed ? estimate([signals, errors], ([signal, error]) => signalToNoise(signal!, error!)) : null,
    ssim: estimate([changes.map(({ ssim }) => ssim)]),
  };
}
