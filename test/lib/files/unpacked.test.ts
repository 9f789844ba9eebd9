/** What is inside an asar archive is read from the folder beside it. Electron itself is in test/package/electron.test.ts. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { openBundle } from '../../../lib/bundle';
import { requireUnpacked, unpacked } from '../../../lib/files/unpacked';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'asar-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (...path: string[]) => {
  const file = join(folder, ...path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '');
  return file;
};

test('the copy beside the archive, where there is one', () => {
  write('app.asar');
  const copy = write('app.asar.unpacked', 'models', 'embedded', 'transformer.pt');
  expect(unpacked(join(folder, 'app.asar', 'models', 'embedded', 'transformer.pt'))).toBe(copy);
  expect(unpacked(join(folder, 'app.asar', 'models', 'embedded'))).toBe(dirname(copy));
  // What was left inside is for JavaScript to read.
  const inside = join(folder, 'app.asar', 'index.js');
  expect(unpacked(inside)).toBe(inside);
});

test('an archive may have any name', () => {
  write('studio.asar');
  const copy = write('studio.asar.unpacked', 'a');
  expect(unpacked(join(folder, 'studio.asar', 'a'))).toBe(copy);
});

test('paths outside archives stay as they are, the archive itself and a folder of such a name too', () => {
  const file = write('app.asar.unpacked', 'a');
  write('folder.asar', 'a');
  write('folder.asar.unpacked', 'a');
  const below = join(file, 'app.asar', 'a');
  for (const path of [file, join(folder, 'app.asar'), join(folder, 'folder.asar', 'a'), below, '/nowhere', '']) {
    expect(unpacked(path)).toBe(path);
  }
});

test('what libtorch is to read and is packed is an error that says how to leave it out', async () => {
  const archive = write('app.asar');
  const path = join(archive, 'models', 'own');
  expect(() => requireUnpacked(path, 'The bundle', 'BUNDLE_NOT_FOUND')).toThrow(
    expect.objectContaining({
      code: 'BUNDLE_NOT_FOUND',
      message:
        `The bundle: expected files on the disk, such as ${archive}.unpacked/models/own, received what is packed inside ` +
        `${archive} (tell the packager to leave it out of the archive: asarUnpack: '**/models/own/**' for ` +
        'electron-builder, unpackDir for Electron Forge).',
    }),
  );
  await expect(openBundle(path)).rejects.toThrow(/expected files on the disk/);
});
