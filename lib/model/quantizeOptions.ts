/** The option `quantize` of `loadPipeline`: 8 bit weights, and activations, in the linear layers of the blocks. */
import { z } from 'zod';

import type { OpenBundle } from '../bundle';
import {
  activationScopes,
  weightFormats,
  type ActivationScope,
  type NativeQuantisation,
  type WeightFormat,
} from '../native';
import { decodeSafetensors } from '../tensor';
import { describedBy } from '../validation/describedBy';
import { invalid } from '../validation/invalid';
import { choice, either, finite, list, strictObject, text, whole } from '../validation/vocabulary';

/** How one layer differs from the others; what `quantizationLayers` of `detail-guidance/analysis` finds. */
export interface QuantizedLayerOptions {
  /** Path of the linear layer, `blocks.3.mlp.up`. BAD_OPTION where there is none. */
  path: string;
  /** Input channels that stay in float32, in place of the massive ones. Default none. CHANNEL_OUT_OF_RANGE. */
  channels?: number[];
  /** Divides each input channel, multiplies its weights (SmoothQuant, Xiao et al., arXiv 2211.10438). Default: nothing. */
  smoothing?: number[];
  /** In place of `smoothing`: each input channel's `quantisationStatistics` maximum; SmoothQuant, α = ½. Default: nothing. */
  maxima?: number[];
}

/** What `quantize` takes in its long form. */
export interface QuantizeOptions {
  /** Of the weights, one scale for each output channel; 'fp8' is e4m3. Default 'int8', or as the bundle is stored. */
  weights?: WeightFormat;
  /**
   * What shares a scale of the activations: the channels of a token, or all tokens of a picture. 'none': they stay in
   * `dtype`, as each weight is while it multiplies; on every device. Default 'per-token', or as the bundle is stored.
   */
  activations?: ActivationScope;
  /**
   * Input channels of the hidden state that leave the 8 bit product and are added in float32, in every layer that reads
   * the hidden state or its norm (LLM.int8(), Dettmers et al. 2022, arXiv 2208.07339, with channels known in advance).
   * Default: the bundle's massive channels; none where it names none. [] keeps none.
   */
  channels?: number[];
  /** Layers that are not quantised: paths, `*` for one part of one, `**` for any number. Default none. BAD_OPTION. */
  keep?: string[];
  /** Layers with channels or smoothing of their own. Default none. */
  layers?: QuantizedLayerOptions[];
}

/** 'int8' is `{ weights: 'int8' }`: everything else by default. */
export type Quantize = WeightFormat | QuantizeOptions;

const layerSchema = describedBy<QuantizedLayerOptions>()(
  strictObject({
    path: text(),
    channels: z.array(whole(0)).optional(),
    smoothing: list(finite(Number.MIN_VALUE), 'a list of numbers above 0').optional(),
    maxima: list(finite(0), 'a list of numbers from 0').optional(),
  }),
);

const longForm = describedBy<QuantizeOptions>()(
  strictObject({
    weights: choice(weightFormats).optional(),
    activations: choice(activationScopes).optional(),
    channels: z.array(whole(0)).optional(),
    keep: z.array(text()).default([]),
    layers: z.array(layerSchema).default([]),
  }),
);

export const quantizeSchema = either(
  [choice(weightFormats), longForm],
  "'int8', 'fp8', or an object with any of weights, activations, channels, keep, layers",
);

/**
 * What the addon is told, for a bundle that is stored quantised too.
 *
 * @param request absent: as the bundle is stored
 * @throws CHANNEL_OUT_OF_RANGE; BAD_OPTION for other weights than those that are stored
 */
export async function quantisationOf(
  request: z.output<typeof quantizeSchema> | undefined,
  bundle: Pick<OpenBundle, 'massiveActivations' | 'transformer' | 'read'>,
): Promise<NativeQuantisation | undefined> {
  const { quantized } = bundle.transformer;
  if (!quantized) return request === undefined ? undefined : nativeQuantisation(request, bundle);
  const { weights = quantized.weights, activations = quantized.activations, channels, keep, layers } = inFull(request);
  if (weights !== quantized.weights || channels || keep.length + layers.length > 0) {
    throw invalid('options.quantize', `nothing, '${quantized.weights}', or an object with activations alone`, request, {
      note: 'this bundle is stored quantised; quantise the bundle it was made of for other settings',
    });
  }
  const { tensors } = decodeSafetensors(await bundle.read(quantized.file));
  const tensorNamed = (name: string) => {
    const tensor = tensors[name];
    if (tensor) return tensor;
    throw invalid(`The bundle's file ${quantized.file}`, `a tensor ${name}`, undefined, {
      code: 'BUNDLE_INVALID',
      shown: 'none',
    });
  };
  return {
    weights,
    activations,
    channels: [],
    stream: 'image',
    keep: [],
    layers: [],
    stored: quantized.layers.map(({ path, channels }) => ({
      path,
      channels,
      scales: tensorNamed(`${path}.scales`),
      ...(channels.length > 0 ? { columns: tensorNamed(`${path}.columns`) } : {}),
      ...(tensors[`${path}.smoothing`] ? { smoothing: tensors[`${path}.smoothing`]! } : {}),
    })),
  };
}

/**
 * What the addon is told of a bundle whose weights are not quantised.
 *
 * @param bundle names the massive channels
 * @throws CHANNEL_OUT_OF_RANGE
 */
export function nativeQuantisation(
  request: z.output<typeof quantizeSchema>,
  { massiveActivations, transformer }: Pick<OpenBundle, 'massiveActivations' | 'transformer'>,
): NativeQuantisation {
  const { weights = 'int8', activations = 'per-token', keep, layers, ...settings } = inFull(request);
  const channels = settings.channels ?? massiveActivations?.channels ?? [];
  const beyond = channels.find((channel) => channel >= transformer.hiddenChannels);
  if (beyond !== undefined) {
    throw invalid('options.quantize.channels', `channels from 0 to ${transformer.hiddenChannels - 1}`, beyond, {
      code: 'CHANNEL_OUT_OF_RANGE',
    });
  }
  return {
    weights,
    activations,
    channels: [...new Set(channels)],
    stream: massiveActivations?.stream ?? 'image',
    keep,
    layers: layers.map(({ path, channels: own = [], smoothing, maxima }) => ({
      path,
      channels: [...new Set(own)],
      ...(smoothing ? { smoothing: vector(smoothing) } : {}),
      ...(maxima ? { maxima: vector(maxima) } : {}),
    })),
    stored: [],
  };
}

const inFull = (request: z.output<typeof quantizeSchema> | undefined): z.output<typeof longForm> =>
  typeof request === 'object' ? request : longForm.parse({ weights: request });

const vector = (values: number[]) => ({
  data: Float32Array.from(values),
  shape: [values.length],
  dtype: 'float32' as const,
});
