/** Tiles: what they cover, how they are blended; scaling; pictures and masks as tensors. */
import { expect, test } from '@jest/globals';

import { vaeSchema } from '../../../lib/bundle/vae';
import { toPixels } from '../../../lib/image/levels';
import { decodeLatents, type Decoder, type PictureTiled } from '../../../lib/vae';
import { DetailGuidanceError } from '../../../lib/validation/errors';
import { readMask, readPicture } from '../../../lib/vae/inputPicture';
import { decodeTiles } from '../../../lib/vae/tiling';
import type { Planes } from '../../../lib/vae/planes';
import type { Tensor } from '../../../lib/tensor';

/** Every cell becomes scale x scale pixels of its value. */
const enlarge =
  (scale: number) =>
  ({ data, channels, height, width }: Planes): Planes => {
    const [rows, columns] = [height * scale, width * scale];
    const large = Float32Array.from({ length: channels * rows * columns }, (_, at) => {
      const [channel, y, x] = [Math.floor(at / (rows * columns)), Math.floor(at / columns) % rows, at % columns];
      return data[(channel * height + Math.floor(y / scale)) * width + Math.floor(x / scale)]!;
    });
    return { data: large, channels, height: rows, width: columns };
  };

/** A decoder whose pictures are those of what it gives. */
const decoderOf = (run: Decoder['run']): Decoder => ({
  run,
  async pictures(latents, { height, width, range }) {
    const [{ data, shape }] = (await run([latents])) as [Tensor];
    const fits = shape[2] === height && shape[3] === width;
    const frames = fits ? [toPixels(data as Float32Array, { channels: 3, height, width }, range)] : [];
    return { shape, frames, overflowed: false };
  },
});
const range = [-1, 1] as const;

test('tiles of a decoder that looks at single cells give the whole picture', async () => {
  const latents = { data: Float32Array.from({ length: 11 * 13 }, (_, at) => at), channels: 1, height: 11, width: 13 };
  let tiles = 0;
  const found = await decodeTiles(latents, 8, 2, (part) => {
    tiles++;
    return Promise.resolve(enlarge(2)(part));
  });
  expect(tiles).toBe(6);
  found.data.forEach((value, at) => expect(value).toBeCloseTo(enlarge(2)(latents).data[at]!, 4));
});

test('where two tiles disagree, one fades into the other', async () => {
  const latents = { data: new Float32Array(4 * 7), channels: 1, height: 4, width: 7 };
  let tile = 0;
  const found = await decodeTiles(latents, 4, 1, (part) => {
    const data = new Float32Array(part.data.length).fill(tile++ % 3);
    return Promise.resolve({ ...part, data });
  });
  // Three columns of each tile are new; the first of the next one is blended, over one column: with share 0.
  expect([...found.data.subarray(0, 7)]).toEqual([0, 0, 0, 0, 1, 1, 1]);
});

test('a large picture is decoded whole; in tiles when asked, or when memory runs out, and then it is said', async () => {
  const latents: Tensor = { data: new Float32Array(64), shape: [1, 1, 8, 8], dtype: 'float32' };
  const vae = vaeSchema.parse({ decoder: { file: 'x', dtype: 'float32' }, scale: 2, tileSize: 8 });
  const run = async (tiling: boolean, most: number) => {
    const [sizes, warnings]: [number[], PictureTiled[]] = [[], []];
    const decoder = decoderOf(([input]) => {
      const [height, width] = input!.shape.slice(2) as [number, number];
      sizes.push(height * width);
      if (height * width > most) return Promise.reject(new DetailGuidanceError('OUT_OF_MEMORY', 'full'));
      const shape = [1, 3, 2 * height, 2 * width];
      return Promise.resolve([{ data: new Float32Array(12 * height * width), shape, dtype: 'float32' as const }]);
    });
    const [picture] = await decodeLatents(latents, vae, decoder, range, { tiling, onWarning: (w) => warnings.push(w) });
    expect(picture).toEqual(new Uint8Array(3 * 16 * 16).fill(128));
    return { sizes, codes: warnings.map(({ code }) => code) };
  };
  expect(await run(false, 64)).toEqual({ sizes: [64], codes: [] });
  const tiled = await run(true, 64);
  expect(tiled.codes).toEqual([]);
  expect(Math.max(...tiled.sizes)).toBe(16);
  expect(await run(false, 63)).toEqual({ sizes: [64, ...tiled.sizes], codes: ['PICTURE_TILED'] });
});

test.each([1, 3, 8, 10, 12, 26])('tiles of %d pixels are whole, overlapping ones', async (tileSize) => {
  const data = Float32Array.from({ length: 11 * 13 }, (_, at) => at);
  const latents: Tensor = { data, shape: [1, 1, 11, 13], dtype: 'float32' };
  const vae = vaeSchema.parse({ decoder: { file: 'x', dtype: 'float32' }, scale: 2, tileSize });
  const decoder = decoderOf(([input]) => {
    const [height, width] = input!.shape.slice(2) as [number, number];
    const one = enlarge(2)({ data: input!.data as Float32Array, channels: 1, height, width }).data;
    const three = new Float32Array(3 * one.length);
    for (const channel of [0, 1, 2]) three.set(one, channel * one.length);
    return Promise.resolve([{ data: three, shape: [1, 3, 2 * height, 2 * width], dtype: 'float32' as const }]);
  });
  const whole = await decodeLatents(latents, vae, decoder, [0, 255]);
  const tiled = await decodeLatents(latents, vae, decoder, [0, 255], { tiling: true });
  expect(tiled).toEqual(whole);
});

test('a video has the frames and the size that the bundle says', async () => {
  const latents: Tensor = { data: new Float32Array(8), shape: [1, 1, 2, 2, 2], dtype: 'float32' };
  const vae = vaeSchema.parse({ decoder: { file: 'x', dtype: 'float32' }, scale: 2, frameScale: 4 });
  const given = (shape: number[], overflowed = false) => {
    const frames = Array.from({ length: shape[2]! }, () => new Uint8Array(48));
    const pictures = () => Promise.resolve({ shape, frames, overflowed });
    return decodeLatents(latents, vae, { ...decoderOf(() => Promise.reject(new Error('no'))), pictures }, [0, 1]);
  };
  expect(await given([1, 3, 5, 4, 4])).toHaveLength(5);
  await expect(given([1, 3, 5, 4, 4], true)).rejects.toMatchObject({ code: 'MODEL_FAILED' });
  for (const shape of [
    [1, 3, 4, 4, 4],
    [1, 3, 5, 4, 8],
    [1, 3, 5, 8, 4],
  ])
    await expect(given(shape)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
});

test('latents are scaled and shifted, or by channel, before they are decoded', async () => {
  const latents: Tensor = { data: Float32Array.of(1, 2), shape: [1, 2, 1, 1], dtype: 'float32' };
  const seen: number[][] = [];
  const decoder = decoderOf(([input]) => {
    seen.push([...(input!.data as Float32Array)]);
    return Promise.resolve([{ data: new Float32Array(3 * 4), shape: [1, 3, 2, 2], dtype: 'float32' as const }]);
  });
  const described = { decoder: { file: 'x', dtype: 'float32' }, scale: 2 };
  await decodeLatents(
    latents,
    vaeSchema.parse({ ...described, scalingFactor: 0.5, shiftFactor: 0.25 }),
    decoder,
    range,
  );
  await decodeLatents(latents, vaeSchema.parse({ ...described, mean: [1, 10], std: [2, 3] }), decoder, range);
  expect(seen).toEqual([
    [2.25, 4.25],
    [3, 16],
  ]);
  const wrong = decodeLatents(latents, vaeSchema.parse({ ...described, scale: 4 }), decoder, range);
  await expect(wrong).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
});

test('pictures become planes, masks one number for each cell', async () => {
  const pixels = Uint8Array.of(0, 255, 51, 255, 0, 102);
  const picture = await readPicture({ width: 2, height: 1, channels: 3, pixels }, { width: 2, height: 1 }, [-1, 1]);
  expect(picture.shape).toEqual([1, 3, 1, 2]);
  [-1, 1, 1, -1, -0.6, -0.2].forEach((value, at) => expect(picture.data[at]).toBeCloseTo(value, 6));
  const size = { width: 4, height: 2 };
  const mask = { ...size, channels: 1 as const, pixels: Uint8Array.of(255, 0, 127, 0, 0, 255, 255, 255) };
  expect([...(await readMask(mask, size, [1, 2]))]).toEqual([1, 0]);
  // Resized first: twice as wide, every second pixel is one of the old ones or between them.
  expect([...(await readMask(mask, { width: 8, height: 2 }, [1, 2]))]).toEqual([1, 0]);
  for (const wrong of [
    { pixels: new Uint8Array(3) },
    { width: 0, height: 0, pixels: new Uint8Array(0) },
    { width: 0.5, height: 16 },
    { pixels: [...mask.pixels] as unknown as Uint8Array },
  ]) {
    await expect(readMask({ ...mask, ...wrong }, size, [1, 2])).rejects.toMatchObject({ code: 'BAD_TENSOR' });
  }
});
