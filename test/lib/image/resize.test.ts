/** Resizing: what it keeps. Its numbers are compared with Pillow's in test/parity/evaluation.test.ts. */
import { expect, test } from '@jest/globals';

import { resize, resizeRaster } from '../../../lib/image/resize';

test('a plane of one value stays one, by both filters', () => {
  for (const filter of ['bilinear', 'lanczos'] as const) {
    const found = resize(new Float32Array(2 * 5 * 7).fill(0.25), 2, [5, 7], [9, 3], filter);
    expect(found).toHaveLength(2 * 9 * 3);
    for (const value of found) expect(value).toBeCloseTo(0.25, 6);
  }
});

test('a picture keeps its channels apart and its levels in range', () => {
  // Black and white stripes in the first channel, where the filter overshoots; constants in the others.
  const pixels = Uint8Array.from(
    { length: 8 * 4 * 4 },
    (_, at) => [Math.floor(at / 4) % 4 < 2 ? 0 : 255, 7, 99, 255][at % 4]!,
  );
  const {
    width,
    height,
    channels,
    pixels: found,
  } = resizeRaster({ width: 8, height: 4, channels: 4, pixels }, { width: 21, height: 9 });
  expect([width, height, channels, found.length]).toEqual([21, 9, 4, 21 * 9 * 4]);
  const levels = (channel: number) => new Set(found.filter((_, at) => at % 4 === channel));
  expect(Math.min(...levels(0))).toBe(0);
  expect(Math.max(...levels(0))).toBe(255);
  expect([[...levels(1)], [...levels(2)], [...levels(3)]]).toEqual([[7], [99], [255]]);
});

test('one pixel becomes a picture of its colour, and a picture one pixel', () => {
  const pixel = { width: 1, height: 1, channels: 3 as const, pixels: Uint8Array.of(1, 2, 3) };
  const large = resizeRaster(pixel, { width: 3, height: 2 });
  expect([...large.pixels]).toEqual(Array.from({ length: 6 }, () => [1, 2, 3]).flat());
  expect([...resizeRaster(large, { width: 1, height: 1 }).pixels]).toEqual([1, 2, 3]);
});
