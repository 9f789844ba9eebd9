/** Seeds: of 64 bits, in a list, and on the way into a picture's metadata. */
import { describe, expect, test } from '@jest/globals';

import { encodeMetadata, readMetadata, type PictureMetadata } from '../../lib/call/metadata';
import { chooseSeeds, lowBits } from '../../lib/request/seeds';
import { encodePng } from '../../lib/image/png';
import { errorOf, planWith } from './model';

describe('chooseSeeds', () => {
  test('an image more is a seed more, exactly, beyond where numbers are exact too', () => {
    expect(chooseSeeds(7, 3)).toEqual([7, 8, 9]);
    expect(chooseSeeds(Number.MAX_SAFE_INTEGER, 2)).toEqual([Number.MAX_SAFE_INTEGER, 2n ** 53n]);
    expect(chooseSeeds(2n ** 64n - 1n, 2)).toEqual([2n ** 64n - 1n, 0]);
  });

  test('a list has one for each image', () => {
    expect(chooseSeeds([5, 5n, 2n ** 60n], 3)).toEqual([5, 5, 2n ** 60n]);
    expect(errorOf(() => chooseSeeds([1, 2], 3))).toMatchObject({ code: 'BAD_OPTION' });
    expect(planWith({ seed: [3, 1, 4] }).images).toBe(3);
  });

  test('what is drawn is another one each time', () => {
    expect(chooseSeeds(undefined, 1)).not.toEqual(chooseSeeds(undefined, 1));
  });
});

test('the generator draws from the low 32 bits', () => {
  expect([lowBits(7), lowBits(2 ** 32 + 7), lowBits(2n ** 64n - 1n)]).toEqual([7, 7, 2 ** 32 - 1]);
});

test('a large seed in the metadata of a picture comes back as it was', () => {
  const metadata = { format: 1, seed: 2n ** 63n, options: { seed: 2n ** 63n } } as PictureMetadata;
  const png = encodePng({
    width: 1,
    height: 1,
    channels: 1,
    pixels: Uint8Array.of(0),
    text: { 'detail-guidance': encodeMetadata(metadata) },
  });
  expect(readMetadata(png)).toEqual(metadata);
});
