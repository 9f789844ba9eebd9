/** Folders that a caller names. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { makeFolder, writeNewFolder } from '../../../lib/files/newFolder';

let base: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'new-folder-'));
});
afterAll(() => rm(base, { recursive: true, force: true }));

const unwritable = (message: RegExp) =>
  expect.objectContaining({ code: 'OUTPUT_UNWRITABLE', message: expect.stringMatching(message) });

test('a folder is made with those above it, and may be there', () => {
  makeFolder(join(base, 'ü b', 'c'));
  makeFolder(join(base, 'ü b', 'c'));
  expect(existsSync(join(base, 'ü b', 'c'))).toBe(true);
});

test('a file in its place, or above it', async () => {
  const file = join(base, 'file');
  await writeFile(file, '');
  expect(() => makeFolder(file)).toThrow(unwritable(/file cannot be written: .*file is not a folder\.$/));
  expect(() => makeFolder(join(file, 'x'))).toThrow(unwritable(/file is not a folder\.$/));
});

const onLinux = process.platform === 'linux' ? test : test.skip;
onLinux('where the system makes none it is said, and at once', async () => {
  expect(() => makeFolder('/proc/x')).toThrow(unwritable(/no folder can be made in \/proc\.$/));
  const made = writeNewFolder('/proc/x', () => Promise.resolve());
  await expect(made).rejects.toEqual(unwritable(/no folder can be made in \/proc\.$/));
});

test('what a caller throws while it is filled is not said of the folder, and leaves nothing', async () => {
  const place = join(base, 'unfilled');
  for (const mine of [new RangeError('mine'), 'mine', undefined]) {
    await expect(writeNewFolder(place, () => Promise.reject(mine as Error))).rejects.toBe(mine);
  }
  expect(existsSync(place)).toBe(false);
});
