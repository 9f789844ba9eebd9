/** The studio's gallery as a folder: what is listed, what is left out, what a page may write and remove. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { loadPipeline } from '../../../lib';
import { GalleryFolder } from '../../../lib/electron/gallery';
import { encodePng } from '../../../lib/image/png';

let folder: string;
let png: Uint8Array;
let other: Uint8Array;
let gallery: GalleryFolder;

beforeAll(async () => {
  await using pipeline = await loadPipeline('embedded', { device: 'cpu' });
  const options = { classLabel: 'Bag', numInferenceSteps: 2 };
  png = (await pipeline.generate({ ...options, seed: 7 })).images[0]!.toPng();
  other = (await pipeline.generate({ ...options, seed: 8 })).images[0]!.toPng();
});
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'gallery-')), 'Detail Guidance');
  gallery = new GalleryFolder(folder);
});
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }));

test('a picture is written with its plan, listed, read and removed', async () => {
  expect(await gallery.list()).toEqual({ folder, pictures: [], skipped: [] });
  const file = await gallery.write(png, 'CFG + Detail: Bag 7');
  expect(file).toBe('cfg-detail-bag-7.png');
  expect(await readFile(join(folder, file))).toEqual(Buffer.from(png));
  const { pictures } = await gallery.list();
  expect(pictures).toEqual([
    {
      file,
      created: (await stat(join(folder, file))).mtimeMs,
      width: 28,
      height: 28,
      version: expect.any(String),
      bundle: 'fashion-mnist-dit',
      options: expect.objectContaining({ classLabel: 8, seed: 7, numInferenceSteps: 2 }),
    },
  ]);
  expect(await gallery.read(file)).toEqual(new Uint8Array(png));
  await gallery.remove(file);
  expect(await readdir(folder)).toEqual([]);
  expect(await gallery.read(file)).toBeNull();
  await gallery.remove(file);
});

test('the same picture is kept once, another one of the same name under a name of its own', async () => {
  const names = await Promise.all([png, png, other, other].map((bytes) => gallery.write(bytes, 'bag')));
  expect(names).toEqual(['bag.png', 'bag.png', 'bag-2.png', 'bag-2.png']);
});

test('the newest is the first, also where a file came from elsewhere or was changed', async () => {
  await gallery.write(png, 'a');
  await writeFile(join(folder, 'b.PNG'), other);
  await utimes(join(folder, 'a.png'), 1, 1);
  await utimes(join(folder, 'b.PNG'), 2, 2);
  expect((await gallery.list()).pictures.map(({ file }) => file)).toEqual(['b.PNG', 'a.png']);
  await writeFile(join(folder, 'a.png'), other);
  const [first] = (await gallery.list()).pictures;
  expect([first!.file, first!.options['seed']]).toEqual(['a.png', 8]);
});

test('what is no picture of the package is left out with a sentence, and never written, read or removed', async () => {
  await mkdir(folder, { recursive: true });
  const foreign = encodePng({ width: 1, height: 1, channels: 1, pixels: new Uint8Array(1) });
  const ofText = (text: unknown) =>
    encodePng({
      width: 1,
      height: 1,
      channels: 1,
      pixels: new Uint8Array(1),
      text: { 'detail-guidance': JSON.stringify(text) },
    });
  const files: Record<string, Uint8Array> = {
    'cut.png': png.subarray(0, 200),
    'empty.png': new Uint8Array(0),
    'foreign.png': foreign,
    'future.png': ofText({ format: 2, bundle: { name: 'x' }, options: {} }),
    'half.png': ofText({ format: 1 }),
    'null.png': ofText(null),
    'text.png': new TextEncoder().encode('hello there'),
  };
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
  await writeFile(join(folder, 'notes.txt'), 'x');
  await writeFile(join(folder, '.hidden.png'), png);
  await mkdir(join(folder, 'folder.png'));
  const { pictures, skipped } = await gallery.list();
  expect(pictures).toEqual([]);
  expect(skipped.sort()).toEqual([
    'cut.png is damaged: it is cut short.',
    'empty.png is damaged: it is no PNG.',
    'foreign.png was not made by detail-guidance.',
    'future.png has settings of the format 2; this version reads format 1.',
    'half.png is damaged: its settings are not whole.',
    'null.png is damaged: its settings are not whole.',
    'text.png is damaged: it is no PNG.',
  ]);
  expect(await gallery.read('foreign.png')).toBeNull();
  await expect(gallery.remove('foreign.png')).rejects.toMatchObject({ code: 'BAD_OPTION' });
  for (const bytes of [foreign, png.subarray(0, 200), 'text', null])
    await expect(gallery.write(bytes, 'x')).rejects.toMatchObject({ code: expect.stringMatching(/^BAD_/) });
  expect((await readdir(folder)).sort()).toEqual(
    [...Object.keys(files), '.hidden.png', 'folder.png', 'notes.txt'].sort(),
  );
});

test('a page names files of the folder itself, and nothing else', async () => {
  await gallery.write(png, 'a');
  await writeFile(join(folder, '..', 'outside.png'), png);
  for (const name of ['../outside.png', `${folder}/a.png`, '..\\outside.png', '.png', 'a.txt', '', 7, null, 'a\0.png'])
    for (const act of [() => gallery.read(name), () => gallery.remove(name)])
      await expect(act()).rejects.toMatchObject({ code: 'BAD_OPTION' });
  expect(await gallery.write(png, '../../../etc/<script>')).toBe('etc-script.png');
  expect(await gallery.write(png, 'ほげ '.repeat(100))).toMatch(/^(ほげ-)+.*\.png$/);
  expect(await gallery.write(other, '///')).toMatch(/^picture-[\da-f]{8}\.png$/);
  expect((await readdir(folder)).every((name) => Buffer.byteLength(name) < 255)).toBe(true);
});

test('a folder that cannot be made or read is an error with a sentence', async () => {
  await writeFile(folder, 'a file');
  await expect(gallery.list()).rejects.toMatchObject({ message: expect.stringContaining('a folder that can be read') });
  await expect(gallery.write(png, 'a')).rejects.toBeDefined();
});
