/** What a picture's PNG says about how it was made, and the way back from it to the options that make it again. */

import { invalid, reasonOf } from '../validation/invalid';
import { asciiJson, decodePng } from '../image/png';
import { metadataKeyword } from '../image/pngText';
import type { LoadOptions, PartDevices } from '../model/loadOptions';
import type { Quantize } from '../model/quantizeOptions';
import type { GenerateOptions } from '../request/generateOptions';
import type { Seed } from '../request/seeds';
import type { Plan } from '../plan';
import { dtypes, type Dtype, type Tensor } from '../tensor';

/** Which model. */
export interface BundleIdentity {
  /** The bundle's name. */
  name: string;
  /** sha256 of its transformer. */
  transformer: string;
}

/** The contents of the text chunk. Nothing in it depends on the time or on the other images of the call. */
export interface PictureMetadata {
  /** Of the metadata. */
  format: 1;
  /** Version of this package. */
  version: string;
  /** Version of libtorch. */
  libtorch: string;
  /** 'cpu' or 'cuda:N'. */
  device: string;
  /** Of weights and activations. */
  dtype: string;
  /** Of text encoders and VAE; absent: on `device` too. */
  devices?: PartDevices;
  /** What `loadPipeline` was told to fuse; absent: everything. */
  fuse?: LoadOptions['fuse'];
  /** What `loadPipeline` was told to quantise; absent: nothing. */
  quantize?: Quantize;
  /** Which model. */
  bundle: BundleIdentity;
  /** Makes this picture again, alone. */
  seed: Seed;
  /** Class index, for a model conditioned by class. */
  class: number | null;
  /** Options with which `generate` makes this picture alone. */
  options: GenerateOptions;
  /** sha256 of each conditioning tensor and given picture, which are too large to be kept here and have to be given again. */
  conditioning?: Record<string, string>;
  /** What was done. */
  plan: Plan;
}

/** The metadata as ASCII JSON. Tensors are kept bit by bit, infinities by name, large seeds as text. */
export function encodeMetadata(metadata: PictureMetadata): string {
  return asciiJson(toJson(metadata));
}

/** The metadata of a PNG's bytes that `generate` made. @throws BAD_TENSOR for other bytes, or a PNG without it */
export function readMetadata(png: Uint8Array): PictureMetadata {
  const text = decodePng(png).text[metadataKeyword];
  try {
    if (text === undefined) throw new Error(`it has no text '${metadataKeyword}'`);
    const metadata = fromJson(JSON.parse(text)) as PictureMetadata;
    if (metadata.format !== 1) throw new Error(`its metadata has the format ${String(metadata.format)}, not 1`);
    return metadata;
  } catch (cause) {
    throw invalid('This PNG', 'one saved by generate', undefined, {
      code: 'BAD_TENSOR',
      shown: 'another',
      note: reasonOf(cause),
      cause,
    });
  }
}

/**
 * The options with which `generate`, on the same bundle, device and build, makes the same bytes again. Conditioning
 * tensors, `image` and `maskImage` are not among them and have to be given again; their sha256 is in
 * `readMetadata(png).conditioning`.
 *
 * @throws BAD_TENSOR when the bytes are not a PNG that `generate` made
 */
export function readOptions(png: Uint8Array): GenerateOptions {
  return readMetadata(png).options;
}

function toJson(value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return { $number: String(value) };
  if (typeof value === 'bigint') return { $bigint: String(value) };
  if (typeof value !== 'object' || value === null) return value;
  if (isTensor(value)) {
    const { data, shape, dtype } = value;
    return { $tensor: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'), shape, dtype };
  }
  if (Array.isArray(value)) return value.map(toJson);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toJson(inner)]));
}

function fromJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromJson);
  if ('$number' in value) return Number(value.$number);
  if ('$bigint' in value) return BigInt(String(value.$bigint));
  if ('$tensor' in value) {
    const { $tensor, shape, dtype } = value as { $tensor: string; shape: number[]; dtype: Dtype };
    const bytes = Buffer.from($tensor, 'base64');
    const copy = new ArrayBuffer(bytes.length);
    new Uint8Array(copy).set(bytes);
    return { data: new dtypes[dtype].array(copy), shape, dtype };
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fromJson(inner)]));
}

function isTensor(value: object): value is Tensor {
  return 'data' in value && 'shape' in value && 'dtype' in value && ArrayBuffer.isView(value.data);
}
