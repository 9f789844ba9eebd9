/** How large a picture may be: what will be made counts, whoever says how large. */
import { expect, test } from '@jest/globals';

import type { BundleManifest } from '../../../lib/bundle';
import { encodePng } from '../../../lib/image/png';
import { checkAnalysisLimits, checkLimits } from '../../../lib/server/limits';
import { serverSchema, type ServerOptions } from '../../../lib/server/options';
import { imageRequestSchema, type ImageRequestInput } from '../../../lib/server/request';
import { embeddedManifest, errorOf } from '../model';

const embedded = embeddedManifest();
const latentShape = (shape: (string | number)[]) =>
  embedded.transformer.inputs.map((input) => (input.role === 'latent' ? { ...input, shape } : input));

/** As SD3: 1024 x 1024 by itself, any multiple of 16 when asked. */
const pictures = {
  ...embedded,
  latent: { channels: 16, height: 128, width: 128 },
  transformer: {
    ...embedded.transformer,
    tokenGrid: [64, 64],
    inputs: latentShape(['batch', 16, 'height', 'width']),
  },
  vae: { decoder: { file: 'x', dtype: 'float32' }, scale: 8, scalingFactor: 1, shiftFactor: 0, tileSize: 512 },
} as BundleManifest;

/** As Wan: 832 x 480, 81 frames. */
const videos = {
  ...pictures,
  latent: { channels: 16, frames: 21, height: 60, width: 104 },
  transformer: {
    ...pictures.transformer,
    tokenGrid: [30, 52],
    inputs: latentShape(['batch', 16, 'frames', 'height', 'width']),
  },
  vae: { ...pictures.vae!, frameScale: 4 },
} as BundleManifest;

function check(request: ImageRequestInput, manifest: BundleManifest, options: ServerOptions = {}): void {
  checkLimits(imageRequestSchema.parse(request), manifest, serverSchema.parse(options));
}

test.each<[string, ImageRequestInput, BundleManifest, ServerOptions]>([
  ['what a bundle of videos makes by itself', {}, videos, {}],
  ['the same by name', { width: 832, height: 480, numFrames: 81 }, videos, {}],
  ['more of fewer frames', { width: 1664, height: 960, numFrames: 17 }, videos, {}],
  ['pictures of 2048 x 2048', { width: 2048, height: 2048 }, pictures, {}],
  ['what the operator says', { width: 4096, height: 4096 }, pictures, { maxPixels: 4096 * 4096 }],
])('takes %s', (_, request, manifest, options) => check(request, manifest, options));

const refused = /^width x height x numFrames: expected at most \d+ on this server, received/;

test.each<[string, ImageRequestInput, BundleManifest, ServerOptions, RegExp]>([
  ['more frames than the bundle makes by itself', { numFrames: 85 }, videos, {}, /832 x 480, 85 frames; ask for/],
  ['as many of larger ones', { width: 848 }, videos, {}, /848 x 480, 81 frames; ask for a smaller width, height or/],
  [
    'larger pictures',
    { width: 2064, height: 2048 },
    pictures,
    {},
    /\(2064 x 2048; ask for a smaller width or height\)/,
  ],
  [
    'what the bundle makes by itself, where the operator says less',
    {},
    videos,
    { maxPixels: 2048 * 2048 },
    /expected at most 4194304 on this server, received 32348160 \(832 x 480, 81 frames/,
  ],
  [
    'the size of its latents',
    { latents: { dtype: 'float32', shape: [1, 16, 272, 256], data: '' } },
    pictures,
    {},
    /2048 x 2176/,
  ],
])('refuses %s', (_, request, manifest, options, message) => {
  const error = errorOf(() => check(request, manifest, options));
  expect(error).toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(refused) });
  expect(error.message).toMatch(message);
});

test('refuses the size of the picture that it starts from', () => {
  const image = { width: 64, height: 48, channels: 1 as const, pixels: new Uint8Array(64 * 48) };
  const request = { image: Buffer.from(encodePng(image)).toString('base64') };
  check(request, pictures, { maxPixels: 64 * 48 });
  const error = errorOf(() => check(request, pictures, { maxPixels: 64 * 48 - 1 }));
  expect(error.message).toMatch(/received 3072 \(64 x 48/);
  // Of another size than its own it is resized.
  check({ ...request, width: 32, height: 32 }, pictures, { maxPixels: 32 * 32 });
});

test('an analysis is bounded as the pictures are that it samples', () => {
  const settings = serverSchema.parse({ maxPixels: 1024 * 1024 });
  checkAnalysisLimits({}, pictures, settings);
  checkAnalysisLimits({ conditions: [{ width: 512, height: 512 }] }, pictures, settings);
  for (const conditions of [{ width: 2048 }, [{}, { width: 2048 }]]) {
    expect(errorOf(() => checkAnalysisLimits({ conditions }, pictures, settings)).message).toMatch(/2048 x 1024/);
  }
  expect(errorOf(() => checkAnalysisLimits({}, videos, settings)).message).toMatch(/832 x 480, 81 frames/);
});
