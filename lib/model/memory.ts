/** What the parts of a bundle take in memory, and what there is. */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';

import type { BundleManifest } from '../bundle';
import { invalid } from '../validation/invalid';
import type { NativeAddon, NativeLoadOptions } from '../native';

type Dtype = NativeLoadOptions['dtype'];

export const bytesOf = { float64: 8, float32: 4, float16: 2, bfloat16: 2 } as const;

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

/** How a bundle is to be loaded, as far as it says where its weights are. */
export interface Placement {
  dtype: Dtype;
  /** Of each kind of part: 'cpu' or 'cuda:N'. */
  devices: Readonly<Record<PartSize['kind'], string>>;
  lowMemory: boolean;
  /** The blocks' weights wait in host memory. */
  offload: boolean;
  /** Weights are brought to 8 bits while they are loaded. */
  quantize: boolean;
}

/**
 * Refuses a bundle whose weights do not fit, before any of them is read.
 *
 * @param available bytes that are free on a device; null where nobody says
 * @throws BUNDLE_TOO_LARGE
 */
export function refuseTooLarge(
  manifest: BundleManifest,
  placement: Placement,
  available: (device: string) => number | null,
): void {
  const { dtype, lowMemory } = placement;
  const claims = partSizes(manifest, dtype).flatMap((part) => claimsOf(part, manifest, placement));
  for (const device of new Set(claims.map((claim) => claim.device))) {
    const free = available(device);
    if (free === null) continue;
    const needs = claims.filter((claim) => claim.device === device).map(({ bytes }) => bytes);
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

/**
 * What a part takes of each device, at least. On the CPU a file and its weights in another dtype share the memory while
 * they are converted one tensor after the other, so the larger of both counts. What is brought to 8 bits for another
 * device, or waits for it, is read on the CPU; of a quantised transformer no less than a byte a weight leaves it.
 */
function claimsOf(
  { part, kind, bytes, fileBytes }: PartSize,
  { transformer }: BundleManifest,
  { devices, offload, quantize }: Placement,
): { device: string; bytes: number }[] {
  const device = devices[kind];
  const onHost = { device: 'cpu', bytes: Math.max(bytes, fileBytes) };
  if (device === 'cpu' || (part === 'transformer' && offload)) return [onHost];
  if (part !== 'transformer' || !quantize || transformer.quantized) return [{ device, bytes }];
  return [onHost, { device, bytes: Math.ceil(fileBytes / bytesOf[transformer.dtype]) }];
}

/**
 * Bytes that are free on a device, with what libtorch keeps of it for the next tensors; before its first use all that it
 * has. null where nobody says.
 */
export async function freeMemory(device: string, addon: Pick<NativeAddon, 'cuda' | 'memory'>): Promise<number | null> {
  if (device === 'cpu') return Math.min(freeInSystem(), freeInGroup() ?? Infinity);
  const known = await addon.memory(device);
  if (known && known.total > 0) return known.free + known.reserved - known.allocated;
  // 0 in an addon that was built without CUDA's headers.
  return addon.cuda().devices[Number(device.slice('cuda:'.length))]?.memory || null;
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

export function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
