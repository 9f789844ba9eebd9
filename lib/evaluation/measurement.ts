/** What is measured of each picture: features, class scores, spectrum; in safetensors shards, so that a run can go on. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { invalid, reasonOf } from '../validation/invalid';
import { writeFileAtomic } from '../files/atomic';
import { decodeSafetensors, encodeSafetensors, type Tensor } from '../tensor';

import { joinFeatures, type Features } from './features';
import { luminance } from './luminance';
import type { PictureNetwork } from './network';
import { Pace } from './pace';
import type { PictureSet } from './pictureSet';
import { ringsOf, spectrumOf } from './spectrum';

export interface Measurement {
  features: Features;
  /** Scores of the classes, [count, classes]; null without a classifier. */
  scores: Features | null;
  /** Power in rings around the zero frequency, [count, rings]. */
  radial: Features;
  /** Share of high frequencies of each picture. */
  highShares: Float32Array;
}

export interface Instruments {
  features: PictureNetwork;
  classifier: PictureNetwork | null;
  /** Where high frequencies begin, in cycles per pixel. */
  cutoff: number;
  /** Pictures in one evaluation of a network. */
  batchSize: number;
}

/** Pictures in a shard of measurements. */
const shardSize = 500;

/**
 * Measures a set, shard by shard in `folder`; shards that are there are read.
 *
 * @param onPictures told how many more pictures are done
 * @throws BAD_TENSOR, MODEL_FAILED, OUTPUT_UNWRITABLE, ABORT_ERR
 */
export async function measureSet(
  set: PictureSet,
  folder: string,
  instruments: Instruments,
  { signal, onPictures }: { signal?: AbortSignal | undefined; onPictures: (count: number) => unknown },
): Promise<Measurement> {
  const parts: Measurement[] = [];
  for (let from = 0; from < set.count; from += shardSize) {
    const to = Math.min(set.count, from + shardSize);
    const file = join(folder, `features-${String(from / shardSize).padStart(5, '0')}.safetensors`);
    const stored = await readMeasurement(file, to - from);
    const part = stored ?? (await measure(set, from, to, instruments, signal));
    if (!stored) await writeFileAtomic(file, encodeMeasurement(part), signal);
    parts.push(part);
    await onPictures(to - from);
  }
  return joinMeasurements(parts);
}

/** Measures the pictures from `from` to before `to`. */
export async function measure(
  set: PictureSet,
  from: number,
  to: number,
  { features, classifier, cutoff, batchSize }: Instruments,
  signal?: AbortSignal,
): Promise<Measurement> {
  const pace = new Pace(signal);
  const parts: Measurement[] = [];
  const size = set.height * set.width * set.channels;
  const rings = ringsOf(set.height, set.width);
  for (let start = from; start < to; start += batchSize) {
    const count = Math.min(to, start + batchSize) - start;
    const pixels = await set.read(start, start + count);
    const radial = new Float32Array(count * rings);
    const highShares = new Float32Array(count);
    for (let picture = 0; picture < count; picture++) {
      const own = pixels.subarray(picture * size, (picture + 1) * size);
      const spectrum = spectrumOf(luminance(own, set.height, set.width, set.channels), cutoff);
      radial.set(spectrum.radial, picture * rings);
      highShares[picture] = spectrum.highShare;
      await pace.breathe();
    }
    parts.push({
      features: await features.run(pixels, set, signal),
      scores: classifier ? await classifier.run(pixels, set, signal) : null,
      radial: { values: radial, count, width: rings },
      highShares,
    });
  }
  return joinMeasurements(parts);
}

export function joinMeasurements(parts: readonly Measurement[]): Measurement {
  const join = (sets: readonly Features[]) => joinFeatures(sets, sets[0]!.width);
  const scores = parts.map((part) => part.scores).filter((part) => part !== null);
  return {
    features: join(parts.map((part) => part.features)),
    scores: scores.length > 0 ? join(scores) : null,
    radial: join(parts.map((part) => part.radial)),
    highShares: Float32Array.from(parts.flatMap((part) => [...part.highShares])),
  };
}

function encodeMeasurement({ features, scores, radial, highShares }: Measurement): Uint8Array {
  const tensor = ({ values, count, width }: Features): Tensor => ({
    data: values,
    shape: [count, width],
    dtype: 'float32',
  });
  return encodeSafetensors({
    features: tensor(features),
    ...(scores ? { scores: tensor(scores) } : {}),
    radial: tensor(radial),
    highShares: { data: highShares, shape: [highShares.length], dtype: 'float32' },
  });
}

/** Null when the file is not there. @throws BAD_OPTION when it is none; BAD_TENSOR when it is damaged or of another length */
async function readMeasurement(file: string, count: number): Promise<Measurement | null> {
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return null;
    throw invalid(file, 'a file that can be read', file, { shown: 'another', note: reasonOf(cause), cause });
  });
  if (!bytes) return null;
  const { tensors } = decodeSafetensors(bytes);
  const read = (name: string): Features => {
    const { data, shape, dtype } = tensors[name] ?? { shape: [], dtype: 'nothing' };
    if (dtype !== 'float32' || shape[0] !== count) {
      throw invalid(`'${name}' in ${file}`, `float32 with ${count} rows`, shape, {
        code: 'BAD_TENSOR',
        shown: `${dtype} [${shape.join(', ')}]`,
        note: 'remove the file, and the evaluation makes it again',
      });
    }
    return { values: data as Float32Array, count, width: shape[1] ?? 1 };
  };
  return {
    features: read('features'),
    scores: tensors['scores'] ? read('scores') : null,
    radial: read('radial'),
    highShares: read('highShares').values,
  };
}
