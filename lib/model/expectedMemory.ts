/** What sampling is expected to take of memory, in any precision, from what one loaded model says of its weights. */
import type { BundleManifest } from '../bundle';
import type { NativeLoadOptions, NativeWeights } from '../native';
import type { PictureSize } from '../request/pictureSize';
import { describedBy } from '../validation/describedBy';
import { choice, flag, strictObject, whole } from '../validation/vocabulary';

import { bytesOf, partSizes, sum, type PartSize } from './memory';

/** What `pipeline.expectedMemory` takes: what a run would be like, and how the model would be loaded for it. */
export interface ExpectedMemoryOptions {
  /** Of the pictures, in pixels. Default: the bundle's. */
  width?: number;
  /** Of the pictures, in pixels. Default: the bundle's. */
  height?: number;
  /** Of a video. Default: the bundle's. */
  numFrames?: number;
  /** Pictures in one evaluation times the branches evaluated together. Default 3: one picture by CFG and Detail Guidance. */
  rows?: number;
  /** Of weights and activations. Default: the pipeline's. */
  dtype?: 'float32' | 'bfloat16' | 'float16';
  /** 8 bit weights in the linear layers of the blocks; null: none. Default: as the pipeline was loaded. */
  quantize?: 'int8' | 'fp8' | null;
  /** Weights of the blocks that wait in host memory; null: none do. Default: as the pipeline was loaded. */
  offload?: 'blocks' | null;
  /** Parts that are loaded in turn. Default: as the pipeline was loaded. */
  lowMemory?: boolean;
}

export const expectedMemorySchema = describedBy<ExpectedMemoryOptions>()(
  strictObject({
    width: whole(1, 65_536).optional(),
    height: whole(1, 65_536).optional(),
    numFrames: whole(1, 10_000).optional(),
    rows: whole(1, 1_000_000).default(3),
    dtype: choice(['float32', 'bfloat16', 'float16']).optional(),
    quantize: choice(['int8', 'fp8']).nullable().optional(),
    offload: choice(['blocks']).nullable().optional(),
    lowMemory: flag().optional(),
  }),
);

/** How a model would be loaded. */
export interface MemorySettings {
  dtype: NativeLoadOptions['dtype'];
  quantize: 'int8' | 'fp8' | null;
  offload: 'blocks' | null;
  lowMemory: boolean;
}

/** Bytes that sampling is expected to take beside the process itself: weights by part, and activations. */
export interface ExpectedMemory {
  /** Weights of the transformer that are on its device; with `offload: 'blocks'` those of two blocks and what is in none. */
  transformer: number;
  /** Weights of all text encoders; with `lowMemory` of the largest. */
  textEncoders: number;
  /** Weights of the VAE's decoder and encoder; with `lowMemory` of the larger one. */
  vae: number;
  /** Activations of one evaluation of the transformer. */
  activations: number;
  /** What is there at the same time: all of it, or with `lowMemory` the largest part, the transformer with its activations. */
  total: number;
  /** Weights that wait in host memory with `offload: 'blocks'`; else 0. */
  host: number;
}

/**
 * An estimate:
 *
 *   weights      numbers · bytes of the dtype; of a quantised layer a byte a weight and four an output channel, its scale
 *   activations  see {@link expectedActivations}
 *
 * @param weights of the transformer; those of the other parts are as large as their files
 * @param rows images in one evaluation times the branches that are evaluated together
 */
export function expectedMemory(
  manifest: BundleManifest,
  weights: NativeWeights,
  size: Pick<PictureSize, 'tokenGrid' | 'latent'>,
  rows: number,
  { dtype, quantize, offload, lowMemory }: MemorySettings,
): ExpectedMemory {
  const inEight = quantize !== null || manifest.transformer.quantized !== undefined;
  const bytes = bytesOf[dtype];
  const blocks = weights.blocks.map(
    ({ linear, outputs, others }) => others * bytes + (inEight ? linear + 4 * outputs : linear * bytes),
  );
  const outside = weights.others * bytes + weights.integerBytes;
  const twoBlocks = Math.min(2 * Math.max(...blocks), sum(blocks));
  const transformer = outside + (offload ? twoBlocks : sum(blocks));
  const parts = partSizes(manifest, dtype);
  const of = (kind: PartSize['kind']) => {
    const sizes = parts.filter((part) => part.kind === kind).map((part) => part.bytes);
    return lowMemory ? Math.max(0, ...sizes) : sum(sizes);
  };
  const [textEncoders, vae] = [of('textEncoders'), of('vae')];
  const activations = expectedActivations(manifest, dtype, size, rows);
  const total = lowMemory
    ? Math.max(transformer + activations, textEncoders, vae)
    : transformer + textEncoders + vae + activations;
  return { transformer, textEncoders, vae, activations, total, host: offload ? sum(blocks) : 0 };
}

/**
 * Activations of one evaluation of the transformer, in bytes: rows · tokens · hiddenChannels · 30 · bytes of the dtype.
 *
 * 30 hidden states a token are about what a DiT block holds at once: residual stream, its normalised and modulated
 * copies, queries, keys, values, the attention's output, four times the width in the MLP, before and after its
 * activation, and what stays for the suffix (docs/benchmarks.md measures it: `run-peak-over-expected`). Attention scores
 * are not among them, since the fused attention does not keep them.
 */
export function expectedActivations(
  { conditioning, transformer }: Pick<BundleManifest, 'conditioning' | 'transformer'>,
  dtype: NativeLoadOptions['dtype'],
  { tokenGrid, latent }: Pick<PictureSize, 'tokenGrid' | 'latent'>,
  rows: number,
): number {
  const frames = latent.length === 4 ? latent[1]! : 1;
  const text = conditioning.kind === 'text' ? (conditioning.maxSequenceLength?.default ?? 0) : 0;
  const tokens = tokenGrid[0] * tokenGrid[1] * frames + text;
  return rows * tokens * transformer.hiddenChannels * 30 * bytesOf[dtype];
}
