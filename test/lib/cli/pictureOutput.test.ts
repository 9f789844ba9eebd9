/** Where --out puts pictures. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterAll, expect, test } from '@jest/globals';

import { pictureOutput } from '../../../lib/cli/pictureOutput';
import { errorOf } from '../model';

const folder = mkdtempSync(join(tmpdir(), 'pictures-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each<[string, number, string[]]>([
  ['cat.png', 1, [resolve('cat.png')]],
  ['cat', 1, [resolve('cat.png')]],
  ['cat.PNG', 1, [resolve('cat.PNG')]],
  ['cat.png', 2, [resolve('cat-0.png'), resolve('cat-1.png')]],
  [folder, 1, [join(folder, 'sample.png')]],
  [`${folder}/`, 2, [join(folder, 'sample-0.png'), join(folder, 'sample-1.png')]],
])('%s for %d', (out, count, files) => {
  expect(pictureOutput(out, count, false)).toEqual({ files, isStdout: false, isAnimated: false });
});

test('a video is one file for .apng, and for stdout', () => {
  const [one, two] = [resolve('cat-0.apng'), resolve('cat-1.apng')];
  expect(pictureOutput('cat.apng', 2, false)).toEqual({ files: [one, two], isStdout: false, isAnimated: true });
});

test('- is stdout, for one picture and without JSON', () => {
  expect(pictureOutput('-', 1, false)).toEqual({ files: [], isStdout: true, isAnimated: true });
  for (const [count, json] of [
    [2, false],
    [1, true],
  ] as const)
    expect(errorOf(() => pictureOutput('-', count, json))).toMatchObject({ code: 'BAD_OPTION' });
});

test('another suffix is refused before anything is computed', () => {
  expect(errorOf(() => pictureOutput('cat.jpg', 1, false))).toMatchObject({
    code: 'BAD_OPTION',
    message:
      "--out: expected a name that ends in .png, or .apng for a video, a folder, or - for stdout, received 'cat.jpg'.",
  });
});

test('a place that cannot even be looked at is one that cannot be written', () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  for (const [out, reason] of [
    [join(file, 'cat.png'), /file is not a folder/],
    [join(folder, 'x'.repeat(300)), /the name is too long/],
  ] as const) {
    const error = errorOf(() => pictureOutput(out, 1, false));
    expect(error).toMatchObject({ code: 'OUTPUT_UNWRITABLE', message: expect.stringMatching(reason) });
  }
});

test('more pictures than a call makes are refused before they have names', () => {
  for (const count of [100_001, 2 ** 53 - 1])
    expect(errorOf(() => pictureOutput('cat.png', count, false))).toMatchObject({
      code: 'BAD_OPTION',
      message: `--num-images: expected a whole number from 1 to 100000, received ${count}.`,
    });
});
