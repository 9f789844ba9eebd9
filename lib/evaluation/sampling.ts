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
  onPictures: (count: number) => void,
): Promise<void> {
  const { samples, seed, numInferenceSteps, scheduler, batchSize, signal } = request;
  for (let first = 0; first < samples; first += shardSize) {
    const count = Math.min(shardSize, samples - first);
    const file = join(folder, shardName(first / shardSize));
    if (await stat(file).catch(() => null)) {
      onPictures(count);
      continue;
    }
    let told = 0;
    const { images, plan } = await pipeline.generate({
      ...(await pictureRequest(pipeline, request, first, count)),
      numImages: count,
      seed: seed + first,
      guidance,
      numInferenceSteps,
      scheduler,
      batchSize,
      signal,
      onStep: ({ fraction }) => {
        onPictures(fraction * count - told);
        told = fraction * count;
      },
    });
    const { height, width, channels } = images[0]!;
    const size = height * width * channels;
    const pixels = new Uint8Array(count * size);
    images.forEach((image, index) => pixels.set(image.pixels, index * size));
    await writeShard(file, pixels, { height, width, channels }, plan.classes, count);
    onPictures(count - told);
  }
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
