/** What a bundle takes, and that one which does not fit is refused before it is read. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import type { BundleManifest } from '../../lib/bundle';
import { expectedActivations, expectedMemory } from '../../lib/model/expectedMemory';
import type { MemoryStatistics } from '../../lib/native';
import { freeMemory, partSizes, refuseTooLarge, type Placement } from '../../lib/model/memory';
import { loadPipeline } from '../../lib/pipeline';
import { pictureSize } from '../../lib/request/pictureSize';

import { embeddedManifest, errorOf } from './model';

const manifest = embeddedManifest();
const file = manifest.files['transformer.pt']!.bytes;
const devices = { textEncoders: 'cpu', transformer: 'cpu', vae: 'cpu' };

test('weights grow with the dtype, activations with tokens and rows', () => {
  expect(partSizes(manifest, 'float32')).toEqual([
    { part: 'transformer', kind: 'transformer', fileBytes: file, bytes: 2 * file },
  ]);
  const size = pictureSize({}, manifest);
  const one = expectedActivations(manifest, 'float16', size, 1);
  expect(one).toBe(49 * 128 * 30 * 2);
  expect(expectedActivations(manifest, 'float32', size, 3)).toBe(one * 6);
});

test('weights by part, in every precision', () => {
  const weights = {
    blocks: [
      { linear: 1000, outputs: 10, others: 100 },
      { linear: 2000, outputs: 20, others: 300 },
      { linear: 2000, outputs: 20, others: 200 },
    ],
    others: 50,
    integerBytes: 8,
  };
  const encoder = { file: 'encoder.pt', dtype: 'float32' };
  const parts = {
    ...manifest,
    files: { ...manifest.files, 'encoder.pt': { bytes: 400, sha256: '' }, 'decoder.pt': { bytes: 80, sha256: '' } },
    textEncoders: { one: encoder, two: encoder },
    vae: { decoder: { file: 'decoder.pt', dtype: 'float32' } },
  } as never;
  const size = pictureSize({}, manifest);
  const memory = (settings: Partial<Parameters<typeof expectedMemory>[4]>) =>
    expectedMemory(parts, weights, size, 2, {
      ...{ dtype: 'float32', quantize: null, offload: null, lowMemory: false },
      ...settings,
    });
  const activations = expectedActivations(manifest, 'float32', size, 2);
  expect(memory({})).toEqual({
    transformer: 5650 * 4 + 8,
    textEncoders: 800,
    vae: 80,
    activations,
    total: 5650 * 4 + 8 + 880 + activations,
    host: 0,
  });
  expect(memory({ dtype: 'bfloat16' })).toMatchObject({ transformer: 5650 * 2 + 8, textEncoders: 400, vae: 40 });
  // A byte a weight, and a scale of four for each output channel.
  const inEight = (bytes: number) => 5000 + 50 * 4 + 600 * bytes;
  for (const quantize of ['int8', 'fp8'] as const) {
    expect(memory({ quantize }).transformer).toBe(inEight(4) + 50 * 4 + 8);
    expect(memory({ quantize, dtype: 'float16' }).transformer).toBe(inEight(2) + 50 * 2 + 8);
  }
  // The two largest that follow each other are no larger than twice the largest.
  expect(memory({ offload: 'blocks' })).toMatchObject({ transformer: (2 * 2300 + 50) * 4 + 8, host: 5600 * 4 });
  expect(memory({ offload: 'blocks', quantize: 'int8' })).toMatchObject({
    transformer: 2 * (2000 + 80 + 300 * 4) + 50 * 4 + 8,
    host: inEight(4),
  });
  const low = memory({ lowMemory: true });
  expect(low).toMatchObject({ textEncoders: 400, total: low.transformer + activations });
});

/** Whether the transformer fits into what is free on the CPU and on a GPU. */
function fits(placement: Partial<Placement>, free: { cpu: number; gpu: number }, of = manifest): boolean {
  const devices = { textEncoders: 'cpu', transformer: 'cuda:0', vae: 'cpu' };
  const whole = { dtype: 'float32', devices, lowMemory: false, offload: false, quantize: false, ...placement } as const;
  try {
    refuseTooLarge(of, whole, (device) => (device === 'cpu' ? free.cpu : free.gpu));
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'BUNDLE_TOO_LARGE' });
    return false;
  }
}

test('weights that wait in host memory count there', () => {
  expect(fits({ offload: true }, { cpu: 2 * file, gpu: 0 })).toBe(true);
  expect(fits({ offload: true }, { cpu: 2 * file - 1, gpu: 4 * file })).toBe(false);
  expect(fits({}, { cpu: 0, gpu: 2 * file })).toBe(true);
  expect(fits({}, { cpu: 4 * file, gpu: 2 * file - 1 })).toBe(false);
});

test('weights that are brought to 8 bits for a GPU are plain on the CPU alone', () => {
  const inEight = Math.ceil(file / 2);
  expect(fits({ quantize: true }, { cpu: 2 * file, gpu: inEight })).toBe(true);
  expect(fits({ quantize: true }, { cpu: 2 * file - 1, gpu: 4 * file })).toBe(false);
  expect(fits({ quantize: true }, { cpu: 4 * file, gpu: inEight - 1 })).toBe(false);
  expect(fits({ quantize: true, offload: true }, { cpu: 2 * file, gpu: 0 })).toBe(true);
  // Those of a bundle that is stored so never are.
  const quantized = { layers: [{ inputs: 128, outputs: 128 }] };
  const stored = { ...manifest, transformer: { ...manifest.transformer, quantized } } as unknown as BundleManifest;
  expect(fits({ quantize: true, dtype: 'float16' }, { cpu: 0, gpu: file }, stored)).toBe(true);
});

test('a bundle that does not fit is refused, one that just fits is not', () => {
  const placement = { dtype: 'float32', devices, lowMemory: false, offload: false, quantize: false } as const;
  const refuse = (free: number | null) => () => refuseTooLarge(manifest, placement, () => free);
  expect(errorOf(refuse(2 * file - 1))).toMatchObject({
    code: 'BUNDLE_TOO_LARGE',
    message: expect.stringMatching(
      /as float32 on cpu: expected at most .*, received 0\.0 GiB \(lowMemory, a 16 bit dtype/,
    ),
  });
  expect(refuse(2 * file)).not.toThrow();
  expect(refuse(null)).not.toThrow();
});

/** As the addon says it of a GPU. */
const device = (memory: number, statistics: Partial<MemoryStatistics>) => ({
  cuda: () => ({ available: true, devices: [{ name: 'one', memory }], reason: null }),
  memory: () =>
    Promise.resolve({
      ...{ allocated: 0, reserved: 0, peakAllocated: 0, peakReserved: 0, free: 0, total: 0 },
      ...statistics,
    }),
});

test('free on a GPU is what nobody uses, and what is kept of it for the next tensors', async () => {
  const used = { total: 80, free: 20, reserved: 15, allocated: 5 };
  expect(await freeMemory('cuda:0', device(80, used))).toBe(30);
  expect(await freeMemory('cuda:0', device(80, { total: 80, free: 0 }))).toBe(0);
  // Before its first use the device says nothing; an addon without CUDA's headers does not know its size.
  expect(await freeMemory('cuda:0', device(80, {}))).toBe(80);
  expect(await freeMemory('cuda:0', device(0, {}))).toBeNull();
  expect(await freeMemory('cuda:0', device(0, used))).toBe(30);
});

test('the memory that is free is more than nothing and not more than the machine has', async () => {
  const free = await freeMemory('cpu', device(0, {}));
  expect(free).toBeGreaterThan(2 ** 20);
  expect(free).toBeLessThan(2 ** 50);
});

test('a file of 16 TiB is refused at once, without being read', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-large-'));
  try {
    const bytes = 2 ** 44 - 4096;
    writeFileSync(join(folder, 'transformer.pt'), '');
    try {
      truncateSync(join(folder, 'transformer.pt'), bytes);
    } catch {
      // A file system without sparse files of that size: the manifest alone says it.
    }
    const files = { 'transformer.pt': { sha256: '0'.repeat(64), bytes } };
    const large = { ...manifest, classifier: undefined, massiveActivations: undefined, files };
    writeFileSync(join(folder, 'bundle.json'), JSON.stringify(large));
    await expect(loadPipeline(folder, { device: 'cpu' })).rejects.toMatchObject({ code: 'BUNDLE_TOO_LARGE' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
