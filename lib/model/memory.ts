/** What a bundle takes in memory, and what there is. */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';

import type { BundleManifest } from '../bundle';
import { invalid } from '../validation/invalid';
import type { NativeAddon, NativeLoadOptions } from '../native';
import type { PictureSize } from '../request/pictureSize';

type Dtype = NativeLoadOptions['dtype'];

const bytesOf = { float64: 8, float32: 4, float16: 2, bfloat16: 2 } as const;

/** One TorchScript file of a bundle. */
export interface PartSize {
  /** `transformer`, `vae.decoder`, `vae.encoder`, or the name of a text encoder. */
  part: string;
  kind: 'textEncoders' | 'transformer' | 'vae';
  /** Of the file. */
  fileBytes: number;
  /** Of its weights in memory, in the dtype they are loaded in. */
  bytes: number;
}

/** The parts of a bundle with their weights; a file holds little besides. */
export function partSizes(manifest: BundleManifest, dtype: Dtype): PartSize[] {
  const { transformer, textEncoders = {}, vae, files } = manifest;
  const size = (part: string, kind: PartSize['kind'], file: string, onDisk: keyof typeof bytesOf): PartSize => {
    const fileBytes = files[file]!.bytes;
    return { part, kind, fileBytes, bytes: Math.ceil((fileBytes * bytesOf[dtype]) / bytesOf[onDisk]) };
  };
  return [
    ...Object.entries(textEncoders).map(([name, { file, dtype: onDisk }]) => size(name, 'textEncoders', file, onDisk)),
    transformerSize(size('transformer', 'transformer', transformer.file, transformer.dtype), manifest, dtype),
    ...(vae ? [size('vae.decoder', 'vae', vae.decoder.file, vae.decoder.dtype)] : []),
    ...(vae?.encoder ? [size('vae.encoder', 'vae', vae.encoder.file, vae.encoder.dtype)] : []),
  ];
}

/** Weights that are stored in 8 bits stay in 8 bits. */
function transformerSize(plain: PartSize, { transformer }: BundleManifest, dtype: Dtype): PartSize {
  if (!transformer.quantized) return plain;
  const inEight = sum(transformer.quantized.layers.map(({ inputs, outputs }) => inputs * outputs));
  const others = Math.max(0, plain.fileBytes - inEight);
  return { ...plain, bytes: inEight + Math.ceil((others * bytesOf[dtype]) / bytesOf[transformer.dtype]) };
}

export interface ExpectedMemory {
  /** Weights that are in memory at the same time, in bytes. */
  weights: number;
  /** Activations of one evaluation of the transformer, in bytes. */
  activations: number;
  total: number;
}

/**
 * What sampling is expected to take beside the process itself, as an estimate:
 *
 *   weights      the parts together, or with `lowMemory` the largest
 *   activations  rows · tokens · hiddenChannels · 30 · bytes of the dtype
 *
 * 30 hidden states a token are about what a DiT block holds at once: residual stream, its normalised and modulated
 * copies, queries, keys, values, the attention's output, four times the width in the MLP, before and after its
 * activation, and what stays for the suffix (docs/benchmarks.md measures it: `run-peak-over-expected`). Attention scores
 * are not among them, since the fused attention does not keep them.
 *
 * @param rows images in one evaluation times the branches that are evaluated together
 */
export function expectedMemory(
  manifest: BundleManifest,
  dtype: Dtype,
  { tokenGrid, latent }: Pick<PictureSize, 'tokenGrid' | 'latent'>,
  rows: number,
  lowMemory = false,
): ExpectedMemory {
  const parts = partSizes(manifest, dtype).map(({ bytes }) => bytes);
  const weights = lowMemory ? Math.max(...parts) : sum(parts);
  const frames = latent.length === 4 ? latent[1]! : 1;
  const { conditioning, transformer } = manifest;
  const text = conditioning.kind === 'text' ? (conditioning.maxSequenceLength?.default ?? 0) : 0;
  const tokens = tokenGrid[0] * tokenGrid[1] * frames + text;
  const activations = rows * tokens * transformer.hiddenChannels * 30 * bytesOf[dtype];
  return { weights, activations, total: weights + activations };
}

/**
 * Refuses a bundle whose weights do not fit, before any of them is read. On the CPU a file and its weights in another
 * dtype share the memory while they are converted one tensor after the other, so the larger of both counts.
 *
 * @param devices of each kind of part: 'cpu' or 'cuda:N'
 * @throws BUNDLE_TOO_LARGE
 */
export function refuseTooLarge(
  manifest: BundleManifest,
  dtype: Dtype,
  devices: Readonly<Record<PartSize['kind'], string>>,
  lowMemory: boolean,
  available: (device: string) => number | null,
): void {
  const parts = partSizes(manifest, dtype);
  for (const device of new Set(Object.values(devices))) {
    const free = available(device);
    if (free === null) continue;
    const needs = parts
      .filter(({ kind }) => devices[kind] === device)
      .map(({ bytes, fileBytes }) => (device === 'cpu' ? Math.max(bytes, fileBytes) : bytes));
    const needed = lowMemory ? Math.max(0, ...needs) : sum(needs);
    if (needed <= free) continue;
    const ways = lowMemory ? 'a smaller bundle or a 16 bit dtype' : 'lowMemory, a 16 bit dtype or another device';
    throw invalid(
      `The bundle ${manifest.name} as ${dtype} on ${device}`,
      `at most ${gigabytes(free)}, which are free`,
      needed,
      { code: 'BUNDLE_TOO_LARGE', shown: gigabytes(needed), note: `${ways} may help` },
    );
  }
}

/** Bytes that are free on a device; null where nobody says. */
export function freeMemory(device: string, addon: Pick<NativeAddon, 'cuda'>): number | null {
  if (device === 'cpu') return Math.min(freeInSystem(), freeInGroup() ?? Infinity);
  return addon.cuda().devices[Number(device.slice('cuda:'.length))]?.memory ?? null;
}

function freeInSystem(): number {
  const [, kilobytes] = /^MemAvailable:\s+(\d+) kB$/m.exec(readText('/proc/meminfo') ?? '') ?? [];
  return kilobytes === undefined ? freemem() : Number(kilobytes) * 1024;
}

/** What a container's limit leaves (cgroup version 2, else 1); pages of files that can be given up count as free. */
function freeInGroup(): number | null {
  for (const [limitFile, usageFile, statFile, cache] of [
    ['memory.max', 'memory.current', 'memory.stat', 'inactive_file'],
    ['memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes', 'memory/memory.stat', 'total_inactive_file'],
  ] as const) {
    const read = (file: string) => readText(`/sys/fs/cgroup/${file}`);
    const [limit, usage] = [Number(read(limitFile) ?? NaN), Number(read(usageFile) ?? NaN)];
    if (!Number.isFinite(limit) || !Number.isFinite(usage)) continue;
    const [, pages] = new RegExp(`^${cache} (\\d+)$`, 'm').exec(read(statFile) ?? '') ?? [];
    return Math.max(0, limit - usage + Number(pages ?? 0));
  }
  return null;
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
