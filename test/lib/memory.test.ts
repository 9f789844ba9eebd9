/** What a bundle takes, and that one which does not fit is refused before it is read. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import { expectedMemory, freeMemory, partSizes, refuseTooLarge } from '../../lib/model/memory';
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
  const one = expectedMemory(manifest, 'float16', size, 1);
  expect(one).toEqual({ weights: file, activations: 49 * 128 * 30 * 2, total: file + 49 * 128 * 30 * 2 });
  expect(expectedMemory(manifest, 'float32', size, 3).activations).toBe(one.activations * 6);
});

test('a bundle that does not fit is refused, one that just fits is not', () => {
  const refuse = (free: number) => errorOf(() => refuseTooLarge(manifest, 'float32', devices, false, () => free));
  expect(refuse(2 * file - 1)).toMatchObject({
    code: 'BUNDLE_TOO_LARGE',
    message: expect.stringMatching(
      /as float32 on cpu: expected at most .*, received 0\.0 GiB \(lowMemory, a 16 bit dtype/,
    ),
  });
  expect(() => refuseTooLarge(manifest, 'float32', devices, false, () => 2 * file)).not.toThrow();
  expect(() => refuseTooLarge(manifest, 'float32', devices, false, () => null)).not.toThrow();
});

test('the memory that is free is more than nothing and not more than the machine has', () => {
  const free = freeMemory('cpu', { cuda: () => ({ available: false, devices: [], reason: '' }) });
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
