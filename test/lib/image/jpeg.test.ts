/** JPEG in: colours, grey, and what is no whole JPEG. */
import { expect, test } from '@jest/globals';
import { encode } from 'jpeg-js';

import { decodeJpeg } from '../../../lib/image/jpeg';
import { pictureSides, readPicture } from '../../../lib/vae/inputPicture';
import { errorOf } from '../model';

/** Red on the left, blue on the right. */
const [width, height] = [32, 16];
const rgba = Uint8Array.from({ length: width * height * 4 }, (_, at) => {
  const left = Math.floor(at / 4) % width < width / 2;
  return [left ? 255 : 0, 0, left ? 0 : 255, 255][at % 4]!;
});
const file = new Uint8Array(encode({ width, height, data: rgba }, 95).data);

/** [red, green, blue] of a pixel. */
const colour = (pixels: Uint8Array, x: number, y: number) => [
  ...pixels.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];

test('a JPEG becomes RGB', async () => {
  const raster = await decodeJpeg(file);
  expect(raster).toMatchObject({ width, height, channels: 3 });
  const [left, right] = [colour(raster.pixels, 4, 8), colour(raster.pixels, 27, 8)];
  [255, 0, 0].forEach((level, channel) => expect(Math.abs(left[channel]! - level)).toBeLessThan(6));
  [0, 0, 255].forEach((level, channel) => expect(Math.abs(right[channel]! - level)).toBeLessThan(6));
});

test('zeros after its end do not matter', async () => {
  const padded = new Uint8Array(file.length + 7);
  padded.set(file);
  expect((await decodeJpeg(padded)).pixels).toEqual((await decodeJpeg(file)).pixels);
});

test.each([
  ['cut off', file.subarray(0, file.length - 20), /truncated/],
  ['cut off in its header', Uint8Array.of(...file.subarray(0, 40), 0xff, 0xd9), /expected a whole JPEG/],
  ['two bytes', Uint8Array.of(0xff, 0xd8), /truncated/],
  ['an end and nothing else', Uint8Array.of(0xff, 0xd8, 0xff, 0xd9), /expected a whole JPEG/],
])('what is no whole JPEG is refused: %s', async (_name, bytes, message) => {
  await expect(decodeJpeg(bytes)).rejects.toMatchObject({
    code: 'BAD_TENSOR',
    message: expect.stringMatching(message) as unknown,
  });
});

test('the picture of a call may be a JPEG, of another size than the result', async () => {
  expect(pictureSides(file, 'image')).toEqual({ width, height });
  const { shape, data } = await readPicture(file, { width: 16, height: 32 }, [-1, 1]);
  expect(shape).toEqual([1, 3, 32, 16]);
  // Red and blue of the first and the last pixel of a row in the middle.
  const at = (channel: number, x: number) => data[(channel * 32 + 15) * 16 + x]!;
  expect(at(0, 1)).toBeGreaterThan(0.9);
  expect(at(2, 1)).toBeLessThan(-0.9);
  expect(at(0, 14)).toBeLessThan(-0.9);
  expect(at(2, 14)).toBeGreaterThan(0.9);
});

test('bytes of no kind are refused', () => {
  expect(errorOf(() => pictureSides(Uint8Array.of(71, 73, 70, 56), 'image'))).toMatchObject({ code: 'BAD_TENSOR' });
});
