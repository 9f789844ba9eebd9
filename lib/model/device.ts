/** Which device and dtype a pipeline runs on, which devices there are, and their memory. */
import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

import type { BundleManifest } from '../bundle';
import { wrapNative } from '../validation/errors';
import { invalid } from '../validation/invalid';
import { parse } from '../validation/parse';
import { native, type MemoryStatistics, type NativeAddon, type NativeLoadOptions } from '../native';
import { deviceName } from './loadOptions';

/**
 * 'auto' is the first CUDA device there is, else the CPU; 'cuda' is the first one.
 *
 * @returns 'cpu' or 'cuda:N'
 * @throws DEVICE_UNAVAILABLE with the reason why there is no such device
 */
export function resolveDevice(option: string, addon: Pick<NativeAddon, 'cuda'>): string {
  if (option === 'cpu') return 'cpu';
  const { available, devices, reason } = addon.cuda();
  if (option === 'auto') return available ? 'cuda:0' : 'cpu';
  const index = option === 'cuda' ? 0 : Number(option.slice('cuda:'.length));
  if (!available) {
    throw invalid('options.device', "'cpu' or 'auto'", option, {
      code: 'DEVICE_UNAVAILABLE',
      note: `CUDA cannot be used: ${reason ?? 'no reason is known'}`,
    });
  }
  if (index < devices.length) return `cuda:${index}`;
  const expected = devices.map(({ name }, number) => `'cuda:${number}' (${name})`).join(', ');
  throw invalid('options.device', expected, option, { code: 'DEVICE_UNAVAILABLE' });
}

export interface ChosenDtype {
  dtype: NativeLoadOptions['dtype'];
  /** Why this one, as a sentence; null when it was asked for by name. */
  reason: string | null;
}

/** Pictures nearer than this to float32's are as good. */
const enoughDecibels = 40;

/**
 * 'auto' is bfloat16 where the device is faster in it and pictures stay within 40 dB PSNR of float32's by the bundle's
 * measurement. A bundle without one: the 16 bit dtype that its weights are stored in, float16 on CUDA alone. Otherwise
 * float32.
 */
export function resolveDtype(
  option: NativeLoadOptions['dtype'] | 'auto',
  device: string,
  { psnr, dtype: stored }: Pick<BundleManifest['transformer'], 'psnr' | 'dtype'>,
  isFaster: () => boolean = cpuIsFasterInBfloat16,
): ChosenDtype {
  if (option !== 'auto') return { dtype: option, reason: null };
  if (device === 'cpu' && !isFaster()) {
    return { dtype: 'float32', reason: 'float32: this processor is no faster in bfloat16.' };
  }
  const decibels = psnr?.bfloat16;
  if (decibels === undefined) {
    const isComputed = stored === 'bfloat16' || (stored === 'float16' && device !== 'cpu');
    if (isComputed) return { dtype: stored, reason: `${stored}: the weights are stored in it.` };
    return { dtype: 'float32', reason: 'float32: the bundle does not say how near bfloat16 comes to it.' };
  }
  const near = decibels >= enoughDecibels;
  const comparison = `${decibels.toFixed(1)} dB PSNR of bfloat16 to float32, ${near ? 'at least' : 'less than'} ${enoughDecibels}`;
  return near
    ? { dtype: 'bfloat16', reason: `bfloat16: ${comparison}.` }
    : { dtype: 'float32', reason: `float32: ${comparison}.` };
}

/** Whether matrix products in bfloat16 have instructions of their own; known on Linux alone. */
export function cpuHasBfloat16(): boolean {
  try {
    return /^(flags|Features)\s*:.*\b(avx512_bf16|amx_bf16|bf16)\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
}

/** Not where the addon multiplies bfloat16 as float32, since the instructions for it are too slow. */
function cpuIsFasterInBfloat16(): boolean {
  return cpuHasBfloat16() && native().info().products.bfloat16 !== 'avx512';
}

/** A device that a pipeline can run on. */
export interface Device {
  /** What `loadPipeline` takes: 'cpu' or 'cuda:N'. */
  id: string;
  /** As its maker calls it. */
  name: string;
  /** Bytes of its own memory; of the CPU, the machine's. */
  memory: number;
}

/** The devices a pipeline can run on, the CPU last. @throws ADDON_NOT_BUILT, LIBTORCH_NOT_FOUND, LIBTORCH_MISMATCH */
export function listDevices(): Device[] {
  const { devices } = native().cuda();
  return [
    ...devices.map(({ name, memory }, index) => ({ id: `cuda:${index}`, name, memory })),
    { id: 'cpu', name: cpus()[0]?.model.trim() ?? process.arch, memory: totalmem() },
  ];
}

/**
 * Memory of a device, in bytes, of all pipelines of this process together; null for the CPU, whose memory is the
 * process's (`process.memoryUsage().rss`).
 *
 * @param device 'cpu', 'cuda' or 'cuda:N'
 * @throws DEVICE_UNAVAILABLE
 */
export function memoryStatistics(device: string): Promise<MemoryStatistics | null> {
  return onDevice(device, (addon, resolved) => addon.memory(resolved));
}

/** Gives what libtorch keeps for later tensors back to the device; nothing to do on the CPU. @throws DEVICE_UNAVAILABLE */
export function emptyCache(device: string): Promise<void> {
  return onDevice(device, (addon, resolved) => addon.emptyCache(resolved));
}

/** The peaks of {@link memoryStatistics} count from now on. @throws DEVICE_UNAVAILABLE */
export function resetPeakMemory(device: string): Promise<void> {
  return onDevice(device, (addon, resolved) => addon.resetPeakMemory(resolved));
}

/** A promise, as the device, or a thread that captures a graph on it, may have to be waited for. */
async function onDevice<Result>(
  device: string,
  ask: (addon: NativeAddon, device: string) => Promise<Result>,
): Promise<Result> {
  const name = parse(deviceName, device, 'device');
  const addon = native();
  try {
    return await ask(addon, resolveDevice(name, addon));
  } catch (error) {
    throw wrapNative(error);
  }
}
