/** Pictures as other programs write them, against what Pillow reads: inputs/make.py makes both. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import { decodePicture, pictureDimensions } from '../../../lib/image/decode';
import { errorOf } from '../model';

const folder = join(__dirname, 'inputs');
const read = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
const pillow = JSON.parse(readFileSync(join(folder, 'pillow.json'), 'utf8')) as Record<
  string,
  { width: number; height: number; pixels: string }
>;

/** Without alpha, grey in three channels: Pillow's `convert('RGB')`. */
function rgb(channels: number, pixels: Uint8Array): Uint8Array {
  const count = pixels.length / channels;
  return Uint8Array.from({ length: count * 3 }, (_, at) => {
    const channel = channels === 1 ? 0 : at % 3;
    return pixels[Math.floor(at / 3) * channels + channel]!;
  });
}

test.each(Object.keys(pillow))('%s is what Pillow reads', async (name) => {
  const { width, height, pixels } = pillow[name]!;
  expect(pictureDimensions(read(name), name)).toEqual({ width, height });
  const picture = await decodePicture(read(name), name);
  expect(picture).toMatchObject({ width, height });
  const wanted = Buffer.from(pixels, 'hex');
  const levels = rgb(picture.channels, picture.pixels);
  const most = levels.reduce((largest, level, at) => Math.max(largest, Math.abs(level - wanted[at]!)), 0);
  expect([levels.length, most]).toEqual([wanted.length, 0]);
});

test.each(readdirSync(folder).filter((name) => name.startsWith('refused.')))('%s is refused by its name', (name) => {
  const kind = name.split('.')[1]!;
  const expected = `options.image: expected a PNG, a JPEG or a WebP, received a picture of the kind ${kind}.`;
  expect(errorOf(() => pictureDimensions(read(name), 'options.image'))).toMatchObject({
    code: 'BAD_TENSOR',
    message: expected,
  });
});

test('a JPEG in CMYK is refused by its name', async () => {
  const refused = decodePicture(read('refused-cmyk.jpg'), 'options.image');
  await expect(refused).rejects.toMatchObject({
    code: 'BAD_TENSOR',
    message: expect.stringMatching(/received one in CMYK/),
  });
});

test.each(['plain.jpg', 'lossy.webp', 'palette.png'])('half of %s is refused', async (name) => {
  const whole = read(name);
  const half = decodePicture(whole.subarray(0, whole.length >> 1), 'options.image');
  await expect(half).rejects.toMatchObject({ code: 'BAD_TENSOR' });
});

test('reading a WebP leaves nothing behind for others to find', async () => {
  await decodePicture(read('lossy.webp'), 'options.image');
  expect('ImageData' in globalThis).toBe(false);
});
