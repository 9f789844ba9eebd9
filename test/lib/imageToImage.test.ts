/** Image to image and inpainting by a model whose latent is the picture itself: the embedded one. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runInNewContext } from 'node:vm';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { loadPipeline, readOptions, type GeneratedImage, type Pipeline } from '../../lib';
import { encodePng } from '../../lib/image/png';

let pipeline: Pipeline;
let bag: GeneratedImage;
const options = { classLabel: 'Bag', numInferenceSteps: 8, guidance: 'conditional' } as const;

beforeAll(async () => {
  pipeline = await loadPipeline('embedded');
  bag = (await pipeline.generate({ ...options, seed: 1 })).images[0]!;
});
afterAll(() => pipeline.dispose());

const distance = (a: Uint8Array, b: Uint8Array) =>
  a.reduce((sum, value, at) => sum + Math.abs(value - b[at]!), 0) / a.length;

test('at full strength nothing is left of the picture: it is the seed’s own', async () => {
  const from = await pipeline.generate({ ...options, seed: 2, image: bag.toPng(), strength: 1 });
  const alone = await pipeline.generate({ ...options, seed: 2 });
  expect(from.images[0]!.pixels).toEqual(alone.images[0]!.pixels);
});

test('a picture is saved at a file: URL, and refuses what is no path', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'save-'));
  try {
    await bag.save(pathToFileURL(join(folder, 'a.png')));
    expect(await bag.saveFrames(pathToFileURL(folder))).toEqual([join(folder, '0000.png')]);
    expect(readdirSync(folder)).toEqual(['0000.png', 'a.png']);
    for (const wrong of [1, null, new URL('https://localhost/a.png')]) {
      await expect(bag.save(wrong as never)).rejects.toMatchObject({ code: 'BAD_OPTION' });
      await expect(bag.saveFrames(wrong as never)).rejects.toMatchObject({ code: 'BAD_OPTION' });
    }
    expect(() => bag.toPng(null as never)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }) as unknown as Error);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('bytes of another realm are bytes', async () => {
  const bytesOf = runInNewContext('(values) => Uint8Array.from(values)') as (values: Uint8Array) => Uint8Array;
  const [png, pixels] = [bytesOf(bag.toPng()), bytesOf(bag.pixels)];
  expect(png).not.toBeInstanceOf(Uint8Array);
  const raster = { width: bag.width, height: bag.height, channels: bag.channels, pixels };
  for (const image of [png, raster, encodePng(raster)]) {
    const from = await pipeline.generate({ ...options, seed: 2, image, strength: 0.5 });
    const plain = await pipeline.generate({ ...options, seed: 2, image: bag.toPng(), strength: 0.5 });
    expect(from.images[0]!.pixels).toEqual(plain.images[0]!.pixels);
  }
  expect(readOptions(png)).toMatchObject({ seed: 1 });
});

test('the weaker, the nearer to the picture', async () => {
  const distances: number[] = [];
  for (const strength of [0.25, 0.5, 1]) {
    const { images } = await pipeline.generate({ ...options, seed: 2, image: bag.toPng(), strength });
    distances.push(distance(images[0]!.pixels, bag.pixels));
  }
  expect(distances).toEqual([...distances].sort((a, b) => a - b));
  expect(distances[0]!).toBeLessThan(distances[2]! / 2);
});

test('what the mask keeps is the picture to the pixel, for every seed; the rest is new', async () => {
  const mask = { width: 28, height: 28, channels: 1 as const, pixels: new Uint8Array(784).fill(255, 0, 392) };
  const { images } = await pipeline.generate({
    ...options,
    seed: [5, 6],
    image: bag.toPng(),
    maskImage: encodePng(mask),
    strength: 1,
  });
  for (const { pixels } of images) {
    expect(pixels.subarray(392)).toEqual(bag.pixels.subarray(392));
    expect(distance(pixels.subarray(0, 392), bag.pixels.subarray(0, 392))).toBeGreaterThan(5);
  }
});

test('its PNG makes it again beside the picture, and is refused without', async () => {
  const image = bag.toPng();
  const [from] = (await pipeline.generate({ ...options, seed: 4, image })).images;
  const again = readOptions(from!.toPng());
  expect(again.strength).toBe(0.6);
  await expect(pipeline.generate(again)).rejects.toMatchObject({
    code: 'BAD_OPTION',
    message: expect.stringMatching(/^options\.image: expected a picture, beside strength/) as unknown,
  });
  const [same] = (await pipeline.generate({ ...again, image })).images;
  expect(same!.pixels).toEqual(from!.pixels);
});

test('a colour picture becomes grey', async () => {
  const pixels = Uint8Array.from({ length: 784 * 3 }, (_, at) => [255, 0, 0][at % 3]!);
  const red = { width: 28, height: 28, channels: 3 as const, pixels };
  const keepAll = { width: 28, height: 28, channels: 1 as const, pixels: new Uint8Array(784) };
  const { images } = await pipeline.generate({ ...options, seed: 3, image: red, maskImage: keepAll });
  // Rec. 601: 0.299 · 255.
  expect(new Set(images[0]!.pixels)).toEqual(new Set([76]));
});
