/**
 * What 8 bits cost a model, by what is done about its massive channels: the error of one evaluation by layer and timestep,
 * of whole pictures, and of what Detail Guidance changes in them.
 */
import { waitFor } from '../model/abort';
import type { LoadOptions } from '../model/loadOptions';
import type { QuantizeOptions } from '../model/quantizeOptions';
import { loadPipeline, type Pipeline } from '../pipeline';
import { toFloat32 } from '../tensor';
import { DetailGuidanceError } from '../validation/errors';
import { invalid } from '../validation/invalid';

import { chooseConditions, type Conditions } from './conditions';
import { encodeConditions, featureInputs, planConditions } from './featureInputs';
import { stepAt } from './noised';

/** What `reportQuantization` takes. */
export interface QuantizationReportOptions {
  /** As `loadPipeline` takes it. Default 'cpu'. DEVICE_UNAVAILABLE. */
  device?: string;
  /** Pictures that each way is judged by. Default 32. */
  pictures?: number;
  /** Seed of the first picture. Default 0. */
  seed?: number;
  /** Default: the bundle's. */
  numInferenceSteps?: number;
  /** What is drawn, in turn. Default: up to ten classes; a model conditioned otherwise needs them. BAD_OPTION. */
  conditions?: Conditions[];
  /** Channels that are kept. Default: the bundle's massive ones. BAD_OPTION where it has none. CHANNEL_OUT_OF_RANGE. */
  channels?: number[];
  /** Times between data (0) and noise (1) at which single evaluations are compared. Default 0.1, 0.3, 0.5, 0.7, 0.9. */
  times?: number[];
  /** Called when a way is done. */
  onProgress?: (done: number, total: number, name: string) => unknown;
  /** Ends it; the call then rejects with an AbortError. */
  signal?: AbortSignal;
}

/** One way to quantise, against float32. */
export interface QuantizationWay {
  /** `per-tensor`, `per-token`, `massive kept`, `others kept`, `SmoothQuant`, `weight-only`, `fp8`, … */
  name: string;
  /** PSNR in dB of the pictures' values from 0 to 1: of the mean squared error over all of them; null for equal ones. */
  psnr: number | null;
  /** The same with Detail Guidance on both sides. */
  detailPsnr: number | null;
  /** Cosine of what Detail Guidance changes in the final latents to what it changes in float32; mean over pictures. */
  detailCosine: number;
  /** ‖change‖ by float32's; mean over pictures. */
  detailNorm: number;
  /** ‖output − float32's‖ / ‖float32's‖ of one evaluation, at each time. */
  output: number[];
  /** The same of the hidden state after every block, at each time: [layer][time]. */
  layers: number[][];
}

/** A way that the device does not compute. */
export interface UnmeasuredWay {
  /** As a way is called. */
  name: string;
  /** Why. */
  reason: string;
}

/** What `reportQuantization` gives. */
export interface QuantizationComparison {
  /** Of the bundle. */
  name: string;
  /** 'cpu' or 'cuda:N'. */
  device: string;
  /** That are kept. */
  channels: number[];
  /** As many others, the control. */
  others: number[];
  /** Pictures each way was judged by. */
  pictures: number;
  /** Steps of each. */
  numInferenceSteps: number;
  /** Of the single evaluations. */
  times: number[];
  /** In the order in which they were tried. */
  ways: QuantizationWay[];
  /** Those that the device has no product for. */
  leftOut: UnmeasuredWay[];
}

/**
 * Compares ways to quantise a bundle with float32, all that the device computes.
 *
 * @param location folder of a bundle, or `'embedded'`
 * @throws what `loadPipeline` and `generate` throw, with `quantize`; BAD_OPTION where no channels are known
 */
export async function reportQuantization(
  location: string,
  options: QuantizationReportOptions = {},
): Promise<QuantizationComparison> {
  const { device = 'cpu', pictures = 32, seed = 0, times = [0.1, 0.3, 0.5, 0.7, 0.9], onProgress, signal } = options;
  const loading = { device, ...(signal ? { signal } : {}) };
  await using plain = await loadPipeline(location, loading);
  const { bundle } = plain;
  const channels = options.channels ?? bundle.massiveActivations?.channels;
  if (!channels || channels.length === 0) {
    throw invalid('options.channels', 'the massive channels, since the bundle names none', options.channels, {
      note: '`detail-guidance analyze` finds them',
    });
  }
  const numInferenceSteps = options.numInferenceSteps ?? bundle.defaults?.numInferenceSteps ?? 30;
  const others = otherChannels(channels, bundle.transformer.hiddenChannels);
  const setting: Setting = {
    pictures,
    seed,
    numInferenceSteps,
    times,
    conditions: chooseConditions(options.conditions, bundle),
    layer: bundle.massiveActivations?.layer ?? plain.size.blocks >> 1,
    channels,
    signal,
  };
  const reference = await observe(plain, setting);
  const maxima = await inputMaxima(plain, location, loading, setting);
  const ways: [name: string, QuantizeOptions][] = [
    ['per-tensor', { activations: 'per-tensor', channels: [] }],
    ['per-token', { channels: [] }],
    ['massive kept', { channels }],
    ['others kept', { channels: others }],
    ['SmoothQuant', { channels: [], layers: maxima }],
    ['per-tensor, massive kept', { activations: 'per-tensor', channels }],
    ['weight-only', { activations: 'none', channels: [] }],
    ['weight-only, massive kept', { activations: 'none', channels }],
    ['fp8', { weights: 'fp8', channels: [] }],
    ['fp8, massive kept', { weights: 'fp8', channels }],
  ];
  const results: QuantizationWay[] = [];
  const leftOut: UnmeasuredWay[] = [];
  for (const [name, quantize] of ways) {
    try {
      await using pipeline = await loadPipeline(location, { ...loading, quantize });
      results.push(compare(name, await observe(pipeline, setting, reference.clean), reference));
    } catch (error) {
      const isUnavailable = error instanceof DetailGuidanceError && error.code === 'PRECISION_UNAVAILABLE';
      if (!isUnavailable) throw error;
      leftOut.push({ name, reason: error.message });
    }
    await waitFor(onProgress?.(results.length + leftOut.length, ways.length, name), signal);
  }
  const setup = { name: bundle.name, device: plain.device, channels, others, pictures, numInferenceSteps, times };
  return { ...setup, ways: results, leftOut };
}

interface Setting {
  pictures: number;
  seed: number;
  numInferenceSteps: number;
  times: number[];
  conditions: Conditions[];
  layer: number;
  channels: number[];
  signal: AbortSignal | undefined;
}

/** What a pipeline made of a setting. */
interface Observed {
  pixels: Uint8Array[];
  detailPixels: Uint8Array[];
  /** What Detail Guidance changed in each picture's latents. */
  change: Float32Array[];
  /** The first picture's latents, which single evaluations start from. */
  clean: Float32Array;
  /** By time. */
  outputs: Float32Array[];
  /** By layer and time. */
  hidden: Float32Array[][];
}

/** @param clean of float32, so that all ways are given the same */
async function observe(pipeline: Pipeline, setting: Setting, clean?: Float32Array): Promise<Observed> {
  const { pictures, seed, numInferenceSteps, times, conditions, layer, channels, signal } = setting;
  const common = { numInferenceSteps, ...(signal ? { signal } : {}) };
  const detail = { guidance: { detail: { layer, channels } } };
  const observation: Observed = {
    pixels: [],
    detailPixels: [],
    change: [],
    clean: new Float32Array(),
    outputs: [],
    hidden: [],
  };
  for (let picture = 0; picture < pictures; picture++) {
    const request = { ...conditions[picture % conditions.length]!, ...common, seed: seed + picture };
    const without = await pipeline.generate({ ...request, guidance: {} });
    const withDetail = await pipeline.generate({ ...request, ...detail });
    observation.pixels.push(without.images[0]!.pixels);
    observation.detailPixels.push(withDetail.images[0]!.pixels);
    const [from, to] = [without.latents.data as Float32Array, withDetail.latents.data as Float32Array];
    observation.change.push(to.map((value, at) => value - from[at]!));
    if (picture === 0) observation.clean = clean ?? from;
  }
  const encoded = await encodeConditions(pipeline, conditions[0], signal);
  const blocks = pipeline.sites.filter(
    ({ tap, block, stream }) => tap === 'output' && block !== null && stream !== 'text',
  );
  const hooks = blocks.map(({ path, stream }) => ({ path, tap: 'output' as const, stream, capture: true }));
  observation.hidden = blocks.map(() => []);
  for (const time of times) {
    const ensemble = { time, noised: false, ensemble: 1, seed, conditions: encoded };
    const step = stepAt(time, pipeline, planConditions(pipeline.bundle, ensemble));
    const inputs = featureInputs(pipeline.bundle, observation.clean, step, ensemble);
    const { output, captures } = await pipeline.forward(inputs, {
      hooks: hooks.map(({ stream, ...hook }) => ({ ...hook, ...(stream === null ? {} : { stream }) })),
      ...(signal ? { signal } : {}),
    });
    observation.outputs.push(toFloat32(output));
    captures.forEach(({ tensor }, at) => observation.hidden[at]!.push(toFloat32(tensor)));
  }
  return observation;
}

function compare(name: string, result: Observed, reference: Observed): QuantizationWay {
  const errors = (a: Float32Array[], b: Float32Array[]) => a.map((values, at) => relativeError(values, b[at]!));
  return {
    name,
    psnr: decibels(result.pixels, reference.pixels),
    detailPsnr: decibels(result.detailPixels, reference.detailPixels),
    detailCosine: mean(result.change.map((change, at) => cosine(change, reference.change[at]!))),
    detailNorm: mean(result.change.map((change, at) => norm(change) / norm(reference.change[at]!))),
    output: errors(result.outputs, reference.outputs),
    layers: result.hidden.map((states, layer) => errors(states, reference.hidden[layer]!)),
  };
}

/** The largest magnitudes of the input channels of every quantised layer, over one picture. */
async function inputMaxima(plain: Pipeline, location: string, loading: LoadOptions, setting: Setting) {
  const { conditions, seed, numInferenceSteps, signal } = setting;
  const paths = await quantizedPaths(location, loading);
  const inputs = new Set(plain.sites.filter(({ tap }) => tap === 'input').map(({ path }) => path));
  const { sites } = await plain.quantisationStatistics({
    generate: { ...conditions[0]!, seed, numInferenceSteps, guidance: {} },
    sites: paths.filter((path) => inputs.has(path)).map((path) => ({ path, tap: 'input' as const })),
    ...(signal ? { signal } : {}),
  });
  return sites.map(({ path, absmax }) => ({ path, maxima: absmax }));
}

async function quantizedPaths(location: string, loading: LoadOptions): Promise<string[]> {
  await using pipeline = await loadPipeline(location, { ...loading, quantize: { activations: 'none' } });
  return pipeline.quantized!.layers.map(({ path }) => path);
}

/** As many channels, spread over the others. */
export function otherChannels(channels: readonly number[], width: number): number[] {
  const others = Array.from({ length: width }, (_, channel) => channel).filter(
    (channel) => !channels.includes(channel),
  );
  const count = Math.min(channels.length, others.length);
  return Array.from({ length: count }, (_, at) => others[Math.floor(((at + 0.5) * others.length) / count)]!);
}

function decibels(result: Uint8Array[], reference: Uint8Array[]): number | null {
  const error = mean(
    result.map((picture, at) =>
      mean(Array.from(picture, (value, place) => ((value - reference[at]![place]!) / 255) ** 2)),
    ),
  );
  return error === 0 ? null : -10 * Math.log10(error);
}

function relativeError(result: Float32Array, reference: Float32Array): number {
  return norm(result.map((value, at) => value - reference[at]!)) / norm(reference);
}

function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, at) => sum + value * b[at]!, 0) / (norm(a) * norm(b));
}

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
