/** Evaluation: generated pictures of one or several guidances against reference pictures. */
import { join } from 'node:path';

import { AbortError } from '../validation/errors';
import { checkPipeline, invalid } from '../validation/invalid';
import type { GuidanceOptions } from '../guidance';
import { writeFileAtomic } from '../files/atomic';
import { makeFolder } from '../files/newFolder';
import { waitFor } from '../model/abort';
import { parse } from '../validation/parse';
import type { Pipeline } from '../pipeline';

import { compare, differences, referenceOf, type Comparison, type Difference, type Reference } from './comparison';
import { measureSet, type Instruments } from './measurement';
import { bundleNetwork, PictureNetwork, type NetworkRecord } from './network';
import { evaluateSchema, type EvaluateOptions, type EvaluateRequest, type EvaluationProgress } from './options';
import { fingerprintOf, openPictures } from './openPictures';
import type { PictureSet } from './pictureSet';
import { pictureRequest, sampleSetting, shardSize } from './sampling';
import { openShards } from './shards';
import { claimFolder, jsonBytes, type State } from './claimFolder';
import { quantizedRun, type QuantizedRun, type RunRecord } from './runRecord';

/** The figures of one setting. */
export interface SettingResult extends Comparison {
  /** As the options have it. */
  name: string;
  /** With all defaults filled in. */
  guidance: GuidanceOptions;
  /** To the first setting, on the same seeds; null for the first. */
  difference: Difference | null;
}

/** A network that gives feature vectors. */
export interface FeatureNetworkRecord extends NetworkRecord {
  /** Numbers of a feature vector. */
  width: number;
}

/** The pictures that the generated ones were compared with. */
export interface ReferenceRecord {
  /** Of names and sizes of the files, or of the file's contents: whether two runs had the same. */
  fingerprint: string;
  /** Pictures. */
  count: number;
  /** Share that the classifier names rightly; null without labels or classifier. */
  recognised: number | null;
  /** Mean share of energy above the cutoff. */
  highShare: number;
  /** Mean power in each ring; `ringFrequencies` has their frequencies. */
  radial: number[];
}

/** What `evaluate` gives, and writes into `result.json`. */
export interface EvaluationResult extends RunRecord {
  /** What the distances are taken in. */
  features: FeatureNetworkRecord;
  /** What the pictures were compared with. */
  reference: ReferenceRecord;
  /** Sampler and its options. */
  scheduler: unknown;
  /** Pictures in one evaluation of a model or network. */
  batchSize: number;
  /** What has to be known to read the figures. */
  notes: string[];
  /** In the order of the options; while the run goes on, those that are done. */
  settings: SettingResult[];
}

const stateFile = 'evaluation.json';
const resultFile = 'result.json';
const referenceFolder = 'reference';
/** Beside the settings' folders. */
const ownNames: readonly string[] = [stateFile, resultFile, referenceFolder];

/**
 * Samples pictures under one or several guidances, all from the same seeds, and compares them with reference pictures:
 * Fréchet and kernel distance, precision and recall, agreement with a classifier, spectrum. Everything is kept in `out`,
 * and `resume` goes on where a run was interrupted; `result.json` is written after every setting.
 *
 * @throws BAD_OPTION, BAD_TENSOR for pictures or networks that do not fit, OUTPUT_EXISTS, OUTPUT_UNWRITABLE,
 *   MODEL_UNREADABLE, OPERATOR_REFUSED, ABORT_ERR, and what `pipeline.generate` throws
 */
export async function evaluate(pipeline: Pipeline, options: EvaluateOptions): Promise<EvaluationResult> {
  checkPipeline(pipeline);
  const request = parse(evaluateSchema, options, 'options');
  if (request.signal?.aborted) throw new AbortError(request.signal.reason);
  const settings = await chooseSettings(pipeline, request);
  const reference = await openPictures(request.reference);
  const networks = await loadNetworks(pipeline, request);
  try {
    return await run(pipeline, request, settings, reference, networks);
  } finally {
    await networks.features.dispose();
    await networks.classifier?.dispose();
  }
}

interface Setting {
  name: string;
  guidance: GuidanceOptions;
}

interface Networks {
  features: PictureNetwork;
  classifier: PictureNetwork | null;
}

async function run(
  pipeline: Pipeline,
  request: EvaluateRequest,
  settings: Setting[],
  set: PictureSet,
  networks: Networks,
): Promise<EvaluationResult> {
  const { out, samples, cutoff, batchSize, signal } = request;
  const instruments: Instruments = { ...networks, cutoff, batchSize };
  await checkNetworks(pipeline, set, networks);
  const heading = await describe(pipeline, request, settings[0]!, networks);
  await claimFolder(out, stateFile, heading, request.resume);

  const tell = progress(request, set.count + 2 * settings.length * samples);
  makeFolder(join(out, referenceFolder));
  const measured = await measureSet(set, join(out, referenceFolder), instruments, {
    signal,
    onPictures: (count) => tell('reference', null, count),
  });
  const reference = await referenceOf(measured, set.labels, request);
  const results: SettingResult[] = [];
  let first: Comparison | null = null;
  for (const { name, guidance } of settings) {
    const folder = join(out, name);
    makeFolder(folder);
    await claimSetting(folder, guidance);
    await sampleSetting(pipeline, guidance, folder, request, (count) => tell('sampling', name, count));
    const generated = await openShards(folder);
    const measurement = await measureSet(generated, folder, instruments, {
      signal,
      onPictures: (count) => tell('measuring', name, count),
    });
    await tell('comparing', name, 0);
    const comparison = await compare(reference, measurement, generated.labels, request);
    results.push({ name, guidance, ...comparison, difference: first && differences(first, comparison) });
    first ??= comparison;
    const result = resultOf(heading, reference, networks, results, request);
    await writeFileAtomic(join(out, resultFile), jsonBytes(result), signal);
  }
  return resultOf(heading, reference, networks, results, request);
}

/** A setting's samples are those of one guidance, also when it is added in a later run. */
async function claimSetting(folder: string, guidance: GuidanceOptions): Promise<void> {
  await claimFolder(folder, 'setting.json', { guidance }, true);
}

async function chooseSettings(pipeline: Pipeline, request: EvaluateRequest): Promise<Setting[]> {
  const settings = request.settings ?? [{ name: 'default', guidance: undefined }];
  const names = settings.map(({ name }) => name);
  const wrong = names.find((name, index) => names.indexOf(name) !== index || ownNames.includes(name));
  if (wrong !== undefined) {
    throw invalid(
      'options.settings',
      `names that differ, other than ${ownNames.map((name) => `'${name}'`).join(', ')}`,
      wrong,
    );
  }
  // Planning finds what is wrong with a guidance before hours of sampling.
  const contents = await pictureRequest(pipeline, request, 0, 1);
  const { numInferenceSteps, scheduler } = request;
  return settings.map(({ name, guidance }) => {
    const plan = pipeline.plan({ ...contents, numImages: 1, guidance, numInferenceSteps, scheduler });
    return { name, guidance: plan.guidance as GuidanceOptions };
  });
}

async function loadNetworks(pipeline: Pipeline, request: EvaluateRequest): Promise<Networks> {
  const { bundle, device } = pipeline;
  const features = request.features ?? bundleNetwork('features', bundle);
  if (!features) {
    throw invalid('options.features', 'the path of a TorchScript file', undefined, {
      note: `the bundle ${bundle.name} brings no feature network`,
    });
  }
  const classifier = request.classifier === undefined ? bundleNetwork('file', bundle) : request.classifier;
  const loaded = await PictureNetwork.load(features, device, request.signal);
  try {
    return {
      features: loaded,
      classifier: classifier && (await PictureNetwork.load(classifier, device, request.signal)),
    };
  } catch (error) {
    await loaded.dispose();
    throw error;
  }
}

/** Two pictures through the networks, before anything is sampled. @throws BAD_TENSOR, MODEL_FAILED */
async function checkNetworks({ bundle }: Pipeline, set: PictureSet, { features, classifier }: Networks): Promise<void> {
  const few = await set.read(0, Math.min(2, set.count));
  await features.run(few, set);
  const scores = await classifier?.run(few, set);
  const { conditioning } = bundle;
  if (!scores || conditioning.kind !== 'class' || scores.width === conditioning.numClasses) return;
  throw invalid(`The classifier '${classifier!.record.name}'`, `${conditioning.numClasses} classes`, scores.width, {
    code: 'BAD_TENSOR',
    note: `those of the bundle ${bundle.name}; null for no classifier`,
  });
}

/** What the figures depend on. */
async function describe(
  pipeline: Pipeline,
  request: EvaluateRequest,
  setting: Setting,
  networks: Networks,
): Promise<State> {
  const { bundle, device, dtype } = pipeline;
  const { samples, seed, batchSize, cutoff, signal } = request;
  const contents = await pictureRequest(pipeline, request, 0, 1);
  const plan = pipeline.plan({
    ...contents,
    numImages: 1,
    guidance: setting.guidance,
    numInferenceSteps: request.numInferenceSteps,
    scheduler: request.scheduler,
  });
  return {
    format: 1,
    bundle: { name: bundle.name, transformer: bundle.files[bundle.transformer.file]!.sha256 },
    device,
    dtype,
    ...quantizedRun(pipeline),
    samples,
    seed,
    numInferenceSteps: plan.numInferenceSteps,
    scheduler: plan.scheduler,
    batchSize,
    shardSize,
    cutoff,
    reference: await fingerprintOf(request.reference, signal),
    features: networks.features.record,
    classifier: networks.classifier?.record ?? null,
  };
}

function progress({ onProgress, signal }: EvaluateRequest, total: number) {
  let done = 0;
  return async (stage: EvaluationProgress['stage'], setting: string | null, count: number): Promise<void> => {
    done += count;
    await waitFor(onProgress?.({ stage, setting, done, total }), signal);
  };
}

function resultOf(
  heading: State,
  reference: Reference,
  networks: Networks,
  settings: SettingResult[],
  { samples, seed, batchSize, cutoff }: EvaluateRequest,
): EvaluationResult {
  const { count, width } = reference.measurement.features;
  const notes = [
    ...[
      ['reference', count],
      ['generated', samples],
    ].flatMap(([which, images]) =>
      Number(images) <= width
        ? [
            `${images} ${which} images are too few for a covariance of ${width} features: it is singular, and the Fréchet ` +
              `distance says little; take more than ${width}, better ten times as many.`,
          ]
        : [],
    ),
    'The Fréchet distance falls with the number of images: only figures with as many can be compared.',
  ];
  return {
    format: 1,
    bundle: heading['bundle'] as EvaluationResult['bundle'],
    device: String(heading['device']),
    dtype: String(heading['dtype']),
    ...(heading['quantized'] ? { quantized: heading['quantized'] as QuantizedRun } : {}),
    features: { ...networks.features.record, width },
    classifier: networks.classifier?.record ?? null,
    reference: {
      fingerprint: String(heading['reference']),
      count,
      recognised: reference.recognised,
      highShare: reference.highShare,
      radial: [...reference.radial],
    },
    samples,
    seed,
    numInferenceSteps: Number(heading['numInferenceSteps']),
    scheduler: heading['scheduler'],
    batchSize,
    cutoff,
    notes,
    settings,
  };
}
