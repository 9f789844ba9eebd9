import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { checkWritable, pathOf, writeFileAtomic } from '../../../lib/files/atomic';
import { checkNewFolder } from '../../../lib/files/newFolder';
import { temporaryBeside } from '../../../lib/files/temporary';

const bytes = Uint8Array.from([1, 2, 3]);
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atomic-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

test('a file is written whole, and nothing else', async () => {
  await writeFileAtomic(join(folder, 'a.png'), bytes);
  expect(await readdir(folder)).toEqual(['a.png']);
  expect(new Uint8Array(await readFile(join(folder, 'a.png')))).toEqual(bytes);
});

test('a place is a text or a file: URL', () => {
  const read = (place: unknown) => pathOf(place, 'path', 'the path of a file');
  expect(read('a.png')).toBe('a.png');
  expect(read(pathToFileURL(join(folder, 'ü #.png')))).toBe(join(folder, 'ü #.png'));
  for (const wrong of [
    new URL('https://localhost/a.png'),
    1,
    null,
    undefined,
    '',
    'a\0b',
    { href: 'nowhere' },
    [folder],
  ]) {
    expect(() => read(wrong)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }) as unknown as Error);
  }
});

test('a name may be as long as the file system lets it', async () => {
  const name = `${'n'.repeat(251)}.png`;
  await writeFileAtomic(join(folder, name), bytes);
  expect(await readdir(folder)).toEqual([name]);
});

test('an existing file is replaced', async () => {
  await writeFile(join(folder, 'a.png'), 'something longer than three bytes');
  await writeFileAtomic(join(folder, 'a.png'), bytes);
  expect((await readFile(join(folder, 'a.png'))).length).toBe(3);
});

test('many writers of one name leave one whole file', async () => {
  const contents = Array.from({ length: 8 }, (_, index) => new Uint8Array(100_000).fill(index));
  await Promise.all(contents.map((content) => writeFileAtomic(join(folder, 'a.bin'), content)));
  expect(await readdir(folder)).toEqual(['a.bin']);
  const found = await readFile(join(folder, 'a.bin'));
  expect(found.length).toBe(100_000);
  expect(found.every((byte) => byte === found[0])).toBe(true);
});

describe('what cannot be written is said, and nothing stays behind', () => {
  const cases: [string, () => Promise<string>, RegExp][] = [
    [
      'the folder is missing',
      () => Promise.resolve(join(folder, 'missing', 'a.png')),
      /the folder .*missing does not exist/,
    ],
    ['the path is a folder', () => makeFolder('a.png'), /that is a folder/],
    ['the folder is a file', () => belowFile(), /is not a folder/],
    ['the name is too long', () => Promise.resolve(join(folder, 'a'.repeat(300))), /too long/],
    [
      'the folder takes no files',
      () => Promise.resolve('/proc/a.png'),
      /no file can be made in|not permitted|read-only/,
    ],
    ['a link points in circles', () => circle(), /\/a\.png cannot be written/],
  ];
  test.each(cases)('%s', async (_, prepare, message) => {
    const path = await prepare();
    const before = await readdir(folder);
    await expect(writeFileAtomic(path, bytes)).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: expect.stringMatching(message),
      expected: expect.any(String),
    });
    expect(await readdir(folder)).toEqual(before);
  });

  async function makeFolder(name: string): Promise<string> {
    await mkdir(join(folder, name));
    return join(folder, name);
  }
  async function belowFile(): Promise<string> {
    await writeFile(join(folder, 'file'), '');
    return join(folder, 'file', 'a.png');
  }
  async function circle(): Promise<string> {
    await symlink(join(folder, 'loop'), join(folder, 'loop'));
    return join(folder, 'loop', 'a.png');
  }
});

test('an aborted write leaves the old file and no other', async () => {
  await writeFile(join(folder, 'a.png'), 'old');
  const reason = new Error('enough');
  await expect(writeFileAtomic(join(folder, 'a.png'), bytes, AbortSignal.abort(reason))).rejects.toMatchObject({
    code: 'ABORT_ERR',
    cause: reason,
  });
  expect(await readdir(folder)).toEqual(['a.png']);
  expect(await readFile(join(folder, 'a.png'), 'utf8')).toBe('old');
});

test('checkWritable says before the work what would fail after it', async () => {
  await expect(checkWritable(join(folder, 'a.png'))).resolves.toBeUndefined();
  await expect(checkWritable(folder)).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  await expect(checkWritable(join(folder, 'missing', 'a.png'))).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  await expect(checkNewFolder(join(folder, 'new'))).resolves.toBeUndefined();
  // A folder that takes nothing, whoever asks.
  await expect(checkWritable('/proc/a.png')).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  await expect(checkNewFolder('/proc/a')).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  await checkWritable(join(folder, 'a'.repeat(255)));
  await expect(checkNewFolder(join(folder, 'a'.repeat(256)))).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  await expect(checkWritable(join(folder, 'a'.repeat(256)))).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  expect(await readdir(folder)).toEqual([]);
});

test('what a killed process left is removed a day later, and nothing else', async () => {
  const left = temporaryBeside(join(folder, 'old.png'));
  const leftFolder = temporaryBeside(join(folder, 'old'));
  const fresh = temporaryBeside(join(folder, 'fresh.png'));
  for (const file of [left, fresh, join(folder, '.a.0123456789ab.tmp'), join(folder, 'x.tmp')])
    await writeFile(file, 'x');
  await mkdir(leftFolder);
  await writeFile(join(leftFolder, 'part'), 'x');
  const yesterday = new Date(Date.now() - 25 * 3600 * 1000);
  for (const name of await readdir(folder)) await utimes(join(folder, name), yesterday, yesterday);
  await utimes(fresh, new Date(), new Date());
  await writeFileAtomic(join(folder, 'a.png'), bytes);
  expect((await readdir(folder)).sort()).toEqual(['.a.0123456789ab.tmp', basename(fresh), 'a.png', 'x.tmp'].sort());
});
