/** Sizes that a model makes, and what the others are told. */
import { expect, test } from '@jest/globals';

import { pictureSize } from '../../lib/request/pictureSize';

import { embeddedManifest, errorOf } from './model';

const embedded = embeddedManifest();

/** As if it were traced for any size, with a VAE of 8 pixels a cell and tokens of 2 x 2 cells. */
const free = {
  ...embedded,
  latent: { channels: 1, height: 28, width: 28, maxHeight: 40, maxWidth: 40 },
  transformer: {
    ...embedded.transformer,
    tokenGrid: [14, 14] as [number, number],
    inputs: embedded.transformer.inputs.map((input) =>
      input.role === 'latent' ? { ...input, shape: ['batch', 1, 'height', 'width'] } : input,
    ),
  },
  vae: { decoder: { file: 'x', dtype: 'float32' as const }, scale: 8, scalingFactor: 1, shiftFactor: 0, tileSize: 512 },
};

test('the default, and one of its own', () => {
  expect(pictureSize({}, embedded)).toEqual({
    latent: [1, 28, 28],
    tokenGrid: [7, 7],
    width: 28,
    height: 28,
    frames: 1,
  });
  expect(pictureSize({ width: 320, height: 160 }, free)).toEqual({
    latent: [1, 20, 40],
    tokenGrid: [10, 20],
    width: 320,
    height: 160,
    frames: 1,
  });
});

test('latents of another size ask for that size', () => {
  const latents = { data: new Float32Array(1), shape: [2, 1, 20, 30], dtype: 'float32' as const };
  expect(pictureSize({ latents }, free)).toMatchObject({ latent: [1, 20, 30], width: 240, height: 160 });
});

test('latents without cells ask for no picture', () => {
  const latents = { data: new Float32Array(0), shape: [1, 1, 0, 30], dtype: 'float32' as const };
  expect(errorOf(() => pictureSize({ latents }, free))).toMatchObject({ code: 'BAD_OPTION' });
});

test.each([
  [free, { width: 100 }, /width: expected a multiple of 16, received 100 \(near it: 96, 112\)/],
  [free, { height: 400 }, /height: expected at most 320, received 400/],
  [free, { width: 7 }, /expected a multiple of 16, received 7 \(near it: 16\)/],
  [embedded, { width: 56 }, /width: expected 28, received 56 \(this model makes one size\)/],
  [embedded, { numFrames: 5 }, /numFrames: expected nothing, received 5/],
])('refuses other sizes with the nearest ones %#', (manifest, asked, message) => {
  expect(errorOf(() => pictureSize(asked, manifest))).toMatchObject({
    code: 'BAD_OPTION',
    message: expect.stringMatching(message),
  });
});
