/**
 * What disrupting hidden states does to the picture: disruption of the massive activations against its controls, every
 * picture beside the undisturbed one of the same seed.
 */
import { AbortError } from '../validation/errors';
import { checkPipeline, invalid } from '../validation/invalid';
import type { GuidanceOptions } from '../guidance';
import { parse } from '../validation/parse';
import type { Pipeline } from '../pipeline';

import { recognition, topClasses } from './comparison';
import { bands, fidelity, splitBands } from './fidelity';
import { emptyGathered, summarise, type Gathered, type InterventionResult } from './interventionChange';
import {
  defaultInterventions,
  interventionsSchema,
  type InterventionOptions,
  type InterventionRequest,
} from './interventionOptions';
import { luminance, type Luminance } from './luminance';
import { bundleNetwork, PictureNetwork } from './network';
import { Pace } from './pace';
import { quantizedRun } from './runRecord';
import { pictureRequest, samplePictures, type SampledPictures } from './sampling';
import { ringsOf, spectrumOf } from './spectrum';

/**
 * Makes every picture undisturbed and under every intervention, and measures what changed.
 *
 * @throws BAD_OPTION, LAYER_OUT_OF_RANGE, CHANNEL_OUT_OF_RANGE, BAD_TENSOR, MODEL_UNREADABLE, MODEL_FAILED, ABORT_ERR
 */
export async function runInterventions(
  pipeline: Pipeline,
  options: InterventionOptions = {},
): Promise<InterventionResult> {
  checkPipeline(pipeline);
  const request = parse(interventionsSchema, options, 'options');
  if (request.signal?.aborted) throw new AbortError(request.signal.reason);
  const interventions = request.interventions ?? defaultInterventions(request, pipeline.bundle);
  const twice = interventions.find(
    ({ name }, index) => interventions.findIndex((other) => other.name === name) !== index,
  );
  if (twice) {
    throw invalid('options.interventions', 'names that differ', twice.name, { shown: `'${twice.name}' twice` });
  }
  const contents = await pictureRequest(pipeline, request, 0, 1);
  const planned = interventions.map(({ name, guidance }) => ({
    name,
    guidance: pipeline.plan({ ...contents, numImages: 1, guidance }).guidance as GuidanceOptions,
  }));
  const { bundle, device } = pipeline;
  const chosen = request.classifier === undefined ? bundleNetwork('file', bundle) : request.classifier;
  const classifier = chosen && (await PictureNetwork.load(chosen, device, request.signal));
  try {
    return await measureInterventions(pipeline, planned, request, classifier);
  } finally {
    await classifier?.dispose();
  }
}

/** Pictures that are in memory at a time. */
const portion = 250;

async function measureInterventions(
  pipeline: Pipeline,
  interventions: { name: string; guidance: GuidanceOptions }[],
  request: InterventionRequest,
  classifier: PictureNetwork | null,
): Promise<InterventionResult> {
  const { samples, seed, cutoff, undisturbed } = request;
  const pace = new Pace(request.signal);
  const all = [{ name: 'undisturbed', guidance: undisturbed as GuidanceOptions }, ...interventions];
  const gathered = all.map(emptyGathered);
  let steps = 0;
  for (let first = 0; first < samples; first += portion) {
    const count = Math.min(portion, samples - first);
    let original: Luminance[] = [];
    for (const [index, { name, guidance }] of all.entries()) {
      const done = index * count + first * all.length;
      const tell = (fraction: number) => request.onProgress?.(done + fraction * count, all.length * samples, name);
      const batch = await samplePictures(pipeline, guidance, { ...request, scheduler: undefined }, first, count, tell);
      steps = batch.steps;
      const pictures = luminances(batch);
      if (index === 0) original = pictures;
      await gather(gathered[index]!, batch, pictures, original, request, classifier, pace);
    }
  }
  const results = all.map(({ name, guidance }, index) => summarise(name, guidance, gathered[index]!, gathered[0]!));
  const { guidance, highShare, radial, recognised, pictures } = results[0]!;
  const { bundle, device, dtype } = pipeline;
  return {
    format: 1,
    bundle: { name: bundle.name, transformer: bundle.files[bundle.transformer.file]!.sha256 },
    device,
    dtype,
    ...quantizedRun(pipeline),
    classifier: classifier?.record ?? null,
    samples,
    seed,
    numInferenceSteps: steps,
    cutoff,
    undisturbed: { guidance, highShare, radial, recognised, pictures },
    interventions: results.slice(1),
  };
}

async function gather(
  into: Gathered,
  batch: SampledPictures,
  pictures: Luminance[],
  original: Luminance[],
  { cutoff, pictures: limit, signal }: InterventionRequest,
  classifier: PictureNetwork | null,
  pace: Pace,
): Promise<void> {
  const { pixels, count, height, width, channels, labels } = batch;
  const size = height * width * channels;
  const rings = ringsOf(height, width);
  const radial = new Float32Array(count * rings);
  for (const [index, picture] of pictures.entries()) {
    const spectrum = spectrumOf(picture, cutoff);
    radial.set(spectrum.radial, index * rings);
    into.highShares.push(spectrum.highShare);
    const [now, before] = [splitBands(picture, cutoff), splitBands(original[index]!, cutoff)];
    for (const band of bands) into.changes[band].push(fidelity(now[band], before[band]));
    if (into.pictures.length < limit) {
      into.pictures.push({ width, height, channels, pixels: pixels.slice(index * size, (index + 1) * size) });
    }
    await pace.breathe();
  }
  into.radial.push({ values: radial, count, width: rings });
  const scores = await classifier?.run(pixels, batch, signal);
  if (!scores) return;
  into.seen.push(...topClasses(scores));
  if (labels) into.named.push(...recognition(scores, Int32Array.from(labels))!);
}

function luminances({ pixels, count, height, width, channels }: SampledPictures): Luminance[] {
  const size = height * width * channels;
  return Array.from({ length: count }, (_, index) =>
    luminance(pixels.subarray(index * size, (index + 1) * size), height, width, channels),
  );
}
