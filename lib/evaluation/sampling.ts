/** Samples of one setting, shard by shard; shards that are there are kept. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { invalid } from '../validation/invalid';
import type { GuidanceOptions } from '../guidance';
import type { Pipeline } from '../pipeline';

import type { EvaluateRequest, PictureRequest } from './options';
import { shardName, writeShard } from './shards';

/** Pictures in a shard; part of what makes a run repeatable, since a batch never crosses it. */
export const shardSize = 250;

/**
 * Samples what is missing of `request.samples` pictures into `folder`.
 *
 * @param onPictures told how many more pictures are done; fractions while a shard is at work
 * @throws what `pipeline.generate` throws; OUTPUT_UNWRITABLE
 */
export async function sampleSetting(
  pipeline: Pipeline,
  guidance: GuidanceOptions,
  folder: string,
  request: EvaluateRequest,
  onPictures: (count: number) => Promise<void>,
): Promise<void> {
  const { samples } = request;
  for (let first = 0; first < samples; first += shardSize) {
    const count = Math.min(shardSize, samples - first);
    const file = join(folder, shardName(first / shardSize));
    if (await stat(file).catch(() => null)) {
      await onPictures(count);
      continue;
    }
    let told = 0;
    const tell = (fraction: number) => {
      const more = fraction * count - told;
      told += more;
      return onPictures(more);
    };
    const { pixels, labels, ...size } = await samplePictures(pipeline, guidance, request, first, count, tell);
    await writeShard(file, pixels, size, labels, count);
    await onPictures(count - told);
  }
}

/** Pictures in memory. */
export interface SampledPictures {
  /** Bytes [count, height, width, channels]. */
  pixels: Uint8Array;
  count: number;
  height: number;
  width: number;
  channels: 1 | 3;
  /** Class of each; null without classes. */
  labels: number[] | null;
  /** That each took. */
  steps: number;
}

type Sampling = Pick<EvaluateRequest, 'seed' | 'numInferenceSteps' | 'scheduler' | 'batchSize' | 'request' | 'signal'>;

/** Makes the pictures `first` to before `first + count`. @param tell how far it is, 0 to 1 */
export async function samplePictures(
  pipeline: Pipeline,
  guidance: GuidanceOptions,
  request: Sampling,
  first: number,
  count: number,
  tell: (fraction: number) => unknown,
): Promise<SampledPictures> {
  const { seed, numInferenceSteps, scheduler, batchSize, signal } = request;
  const { images, plan } = await pipeline.generate({
    ...(await pictureRequest(pipeline, request, first, count)),
    numImages: count,
    seed: seed + first,
    guidance,
    numInferenceSteps,
    scheduler,
    batchSize,
    signal,
    onStep: ({ fraction }) => tell(fraction),
  });
  const { height, width, channels } = images[0]!;
  const bytes = height * width * channels;
  const pixels = new Uint8Array(count * bytes);
  images.forEach((image, index) => pixels.set(image.pixels, index * bytes));
  const labels = plan.classes;
  return { pixels, count, height, width, channels, labels, steps: plan.numInferenceSteps };
}

/** What is in some of the pictures: as the caller says, or all classes in turn. @throws BAD_OPTION */
export async function pictureRequest(
  { bundle }: Pipeline,
  { request }: Pick<EvaluateRequest, 'request'>,
  first: number,
  count: number,
): Promise<PictureRequest> {
  if (request) return request(first, count);
  const { conditioning } = bundle;
  if (conditioning.kind !== 'class') {
    throw invalid('options.request', 'a function (first, count) that gives prompts or conditioning', undefined, {
      note: `${bundle.name} is not conditioned by class`,
    });
  }
  return { classLabel: Array.from({ length: count }, (_, index) => (first + index) % conditioning.numClasses) };
}
