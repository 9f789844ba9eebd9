/**
 * Features of pictures for correspondence and dense understanding.
 *
 * DiTF (Gan et al., arXiv 2505.18584): average over an ensemble of noises, set the massive channels to 0, layer
 * normalisation without affine (ε = 1e-6), then the AdaLN modulation (1 + γ) x + β of the block that follows.
 * MREP (arXiv 2607.02968): F = concat(norm((1 + γ) LN(z) + β), normalised spatial map of each massive channel).
 * How the maps are weighed against the rest is not said: here each has unit mean square over the tokens, and together
 * they are as long as `mapWeight`, the rest of a token being of length 1.
 */
import { z } from 'zod';

import { AbortError, type DetailGuidanceError } from '../validation/errors';
import { checkPipeline, invalid } from '../validation/invalid';
import { parse } from '../validation/parse';
import { tensorLike } from '../request/generateOptions';
import { describedBy } from '../validation/describedBy';
import { abortSignal, choice, finite, flag, strictObject, whole } from '../validation/vocabulary';
import { checkTensor, toFloat32, type Tensor } from '../tensor';

import { blockOutputs } from './blocks';
import type { Conditions } from './conditions';
import { findModulations } from './gateSites';
import { chooseTracedChannels } from './magnitude';
import { encodeConditions, featureInputs, planConditions } from './featureInputs';
import { stepAt } from './noised';
import type { ActivationSource } from './source';

/** raw: z itself · modulated: DiTF · mrep: DiTF and the maps of the massive channels. */
export const featureKinds = ['raw', 'modulated', 'mrep'] as const;

/** What `extractFeatures` takes. */
export interface FeatureOptions {
  /**
   * Latents of the pictures, float32 [images, channels, height, width]: pixels in the bundle's range, or as a VAE gives.
   * BAD_TENSOR.
   */
  latents: Tensor;
  /** Block whose output is taken, from 0; for `modulated` and `mrep` there has to be a next one. LAYER_OUT_OF_RANGE. */
  layer: number;
  /** raw: z itself · modulated: DiTF · mrep: DiTF and the maps of the massive channels. Default 'mrep'. */
  kind?: 'raw' | 'modulated' | 'mrep';
  /** Between data (0) and noise (1). Default 0.2. */
  time?: number;
  /** The latents have that noise already: no other is added. Default false. */
  noised?: boolean;
  /** Noises that are averaged over, from 1 to 1024. Default 8. */
  ensemble?: number;
  /** Of the first noise; the next one takes the next. A whole number from 0. Default 0. */
  seed?: number;
  /** What the model is conditioned on, as `generate` takes it. Default: its unconditional class, or the empty prompt. */
  conditions?: Conditions;
  /** Massive channels: discarded, and mapped by mrep. Default: those of the bundle. CHANNEL_OUT_OF_RANGE. */
  channels?: number[];
  /** Length of the maps' part of a token, root mean square over the tokens, 0 to 100. Default 0.25. */
  mapWeight?: number;
  /** Ends the run within one evaluation of the model; the call then rejects with an AbortError. */
  signal?: AbortSignal;
}

const optionsSchema = describedBy<FeatureOptions>()(
  strictObject({
    latents: tensorLike,
    layer: whole(0),
    kind: choice(featureKinds).default('mrep'),
    time: finite(0, 1).default(0.2),
    noised: flag().default(false),
    ensemble: whole(1, 1024).default(8),
    seed: whole(0).default(0),
    conditions: z.custom<Conditions>((value) => typeof value === 'object' && value !== null).optional(),
    channels: z.array(whole(0), { error: 'a list of channels' }).optional(),
    mapWeight: finite(0, 100).default(0.25),
    signal: abortSignal().optional(),
  }),
);

type Request = z.output<typeof optionsSchema>;

/** One feature vector for each image token. */
export interface Features {
  /** float32 [images, tokens, width]; `modulated` and the first part of `mrep` have unit length at every token. */
  features: Tensor;
  /** Rows and columns of the tokens. */
  grid: [number, number];
  /** Massive channels that were discarded. */
  channels: number[];
  /** As the model was given it. */
  timestep: number;
}

/**
 * Extracts one feature vector for each image token.
 *
 * @throws BAD_OPTION, BAD_TENSOR for latents of another shape, LAYER_OUT_OF_RANGE, CHANNEL_OUT_OF_RANGE, SITE_NOT_FOUND
 *   when the next block's modulation is not found, MODEL_FAILED when there are NaN in the hidden state, ABORT_ERR
 */
export async function extractFeatures(
  pipeline: Omit<ActivationSource, 'activations'>,
  options: FeatureOptions,
): Promise<Features> {
  checkPipeline(pipeline);
  const parsed = parse(optionsSchema, options, 'options');
  const { bundle } = pipeline;
  const { latent, transformer } = bundle;
  const shape = [null, latent.channels, latent.height, latent.width];
  const latents = checkTensor(parsed.latents, { name: 'options.latents', dtype: ['float32'], shape, finite: true });
  const conditions = await encodeConditions(pipeline, parsed.conditions, parsed.signal);
  const request = { ...parsed, conditions };
  const channels = request.kind === 'raw' ? [] : chooseTracedChannels(request.channels, bundle);
  const [output] = blockOutputs(pipeline.sites, 'image', [request.layer]);
  const modulation = request.kind === 'raw' ? null : await nextModulation(pipeline, request);
  const step = stepAt(request.time, pipeline, planConditions(bundle, request));
  const size = latents.data.length / latents.shape[0]!;
  const [rows, columns] = transformer.tokenGrid;
  const tokens = rows * columns;
  const perImage: Float32Array[] = [];
  for (let image = 0; image < latents.shape[0]!; image++) {
    if (request.signal?.aborted) throw new AbortError(request.signal.reason);
    const clean = (latents.data as Float32Array).slice(image * size, (image + 1) * size);
    const inputs = featureInputs(bundle, clean, step, request);
    const hooks = [{ path: output!.path, stream: 'image' }, ...(modulation ? [{ path: modulation }] : [])];
    const { captures } = await pipeline.forward(inputs, { hooks, signal: request.signal });
    const hidden = imageTokens(meanOverRows(captures[0]!.tensor), tokens, transformer);
    if (hidden.some((value) => !Number.isFinite(value))) throw overflow(request.layer);
    const width = hidden.length / tokens;
    const chunks = captures[1] && meanOverRows(captures[1].tensor);
    perImage.push(request.kind === 'raw' ? hidden : represent(hidden, width, chunks!, channels, request));
  }
  const width = perImage[0]!.length / tokens;
  const data = new Float32Array(perImage.length * tokens * width);
  perImage.forEach((values, image) => data.set(values, image * tokens * width));
  return {
    features: { data, shape: [perImage.length, tokens, width], dtype: 'float32' },
    grid: [rows, columns],
    channels,
    timestep: step.timestep,
  };
}

async function nextModulation(pipeline: Omit<ActivationSource, 'activations'>, request: Request): Promise<string> {
  const next = pipeline.sites.some(({ tap, block }) => tap === 'output' && block === request.layer + 1);
  if (!next) {
    throw invalid('options.layer', "a layer before the last, or kind 'raw'", request.layer, {
      code: 'LAYER_OUT_OF_RANGE',
      note: 'no block follows whose modulation could be applied',
    });
  }
  const blocks = blockOutputs(pipeline.sites, 'image', [request.layer + 1]);
  const shapes = await pipeline.shapes(request.signal);
  return findModulations(pipeline.sites, shapes, blocks, pipeline.bundle.transformer.hiddenChannels)[0]!.path;
}

function meanOverRows(tensor: Tensor): Float32Array {
  const rows = tensor.shape[0]!;
  const data = toFloat32(tensor);
  const size = data.length / rows;
  return Float32Array.from({ length: size }, (_, index) => {
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += data[row * size + index]!;
    return sum / rows;
  });
}

/** Where a block works on image and text together, the image's part. */
function imageTokens(
  hidden: Float32Array,
  tokens: number,
  { hiddenChannels, jointAttention = 'text-first' }: ActivationSource['bundle']['transformer'],
): Float32Array {
  const length = tokens * hiddenChannels;
  if (hidden.length <= length) return hidden;
  return jointAttention === 'text-first' ? hidden.slice(-length) : hidden.slice(0, length);
}

/** The token's DiTF feature, of unit length, and for mrep the massive channels' values there. */
function represent(
  hidden: Float32Array,
  width: number,
  chunks: Float32Array,
  channels: number[],
  { kind, mapWeight }: Request,
): Float32Array {
  const tokens = hidden.length / width;
  const maps = kind === 'mrep' ? channels.map((channel) => unitMap(hidden, width, channel)) : [];
  const out = new Float32Array(tokens * (width + maps.length));
  for (let token = 0; token < tokens; token++) {
    const z = hidden.slice(token * width, (token + 1) * width);
    for (const channel of channels) z[channel] = 0;
    const at = token * (width + maps.length);
    out.set(unitLength(modulate(normalise(z), chunks)), at);
    maps.forEach((map, index) => (out[at + width + index] = (map[token]! * mapWeight) / Math.sqrt(maps.length)));
  }
  return out;
}

/** Shift is the first chunk of a modulation, scale the second. */
function modulate(x: Float32Array, chunks: Float32Array): Float32Array {
  return x.map((value, channel) => (1 + chunks[x.length + channel]!) * value + chunks[channel]!);
}

function normalise(x: Float32Array): Float32Array {
  const middle = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - middle) ** 2, 0) / x.length;
  return x.map((value) => (value - middle) / Math.sqrt(variance + 1e-6));
}

function unitLength(x: Float32Array): Float32Array {
  const length = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  return length > 0 ? x.map((value) => value / length) : x;
}

function unitMap(hidden: Float32Array, width: number, channel: number): Float32Array {
  const map = hidden.filter((_, index) => index % width === channel);
  const square = map.reduce((sum, value) => sum + value * value, 0) / map.length;
  return square > 0 ? map.map((value) => value / Math.sqrt(square)) : map;
}

function overflow(layer: number): DetailGuidanceError {
  return invalid(`The hidden state after layer ${layer}`, 'finite values', NaN, {
    code: 'MODEL_FAILED',
    note: 'the activations overflowed: try float32 or bfloat16',
  });
}
