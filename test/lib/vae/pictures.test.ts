/** Pixels that the addon makes of a component's result: the bytes that `toPixels` makes of the same values. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { vaeSchema } from '../../../lib/bundle/vae';
import { generatePictures } from '../../../lib/call/generate';
import { readOptions } from '../../../lib/call/metadata';
import { toPixels } from '../../../lib/image/levels';
import { loadTorchScript, picturesOf, type TorchScript } from '../../../lib/model/torchScript';
import { plan } from '../../../lib/plan';
import { generateSchema } from '../../../lib/request/generateOptions';
import { parse } from '../../../lib/validation/parse';
import type { Tensor } from '../../../lib/tensor';
import { archive } from '../../hostile/archive';
import { embeddedManifest, plannedModel } from '../model';

const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-pictures-'));
let same: TorchScript;

beforeAll(async () => {
  const file = join(folder, 'same.pt');
  writeFileSync(file, archive({ forward: 'return x' }));
  same = await loadTorchScript(file, { device: 'cpu' });
});
afterAll(async () => {
  await same.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const [height, width] = [67, 129];
const size = { channels: 3, height, width };

/** Of every kind: inside the range, at its ends, between two levels and just beside that, far outside. */
function values(black: number, white: number): Float32Array {
  const special = [black, white, -0, 0, 3e38, -3e38, 1e-45, Math.PI];
  return Float32Array.from({ length: 3 * height * width }, (_, at) => {
    if (at < special.length) return special[at]!;
    const between = black + ((white - black) * ((at % 256) + 0.5)) / 255;
    if (at % 3 === 0) return between;
    if (at % 3 === 1) return between * (1 + ((at % 7) - 3) * 2 ** -23);
    return black + (white - black) * (Math.sin(at) * 0.7 + 0.5);
  });
}

test.each([
  [-1, 1],
  [0, 1],
  [1, -1],
  [0.1, 255.3],
])('from %p to %p', async (black, white) => {
  const data = values(black, white);
  const input: Tensor = { data, shape: [1, 3, height, width], dtype: 'float32' };
  const { shape, frames, overflowed } = await picturesOf(same, [input], { height, width, black, white });
  expect([shape, overflowed, frames.length]).toEqual([[1, 3, height, width], false, 1]);
  expect(Buffer.from(frames[0]!).equals(Buffer.from(toPixels(data, size, [black, white])))).toBe(true);
});

test('the memory is the engine’s own: it can be moved to a thread', async () => {
  const input: Tensor = { data: values(-1, 1), shape: [1, 3, height, width], dtype: 'float32' };
  const { frames } = await picturesOf(same, [input], { height, width, black: -1, white: 1 });
  const [pixels] = frames;
  expect(pixels!.buffer.byteLength).toBe(3 * height * width);
  const moved = structuredClone(pixels!, { transfer: [pixels!.buffer as ArrayBuffer] });
  expect([pixels!.length, moved.length]).toEqual([0, 3 * height * width]);
});

test('frames of a video; what is no number, and what has another size', async () => {
  const data = values(-1, 1).subarray(0, 3 * 4 * 5 * 6);
  const video: Tensor = { data, shape: [1, 3, 4, 5, 6], dtype: 'float32' };
  const form = { height: 5, width: 6, black: -1, white: 1 };
  const { frames } = await picturesOf(same, [video], form);
  expect(frames).toHaveLength(4);
  const second = Float32Array.from({ length: 90 }, (_, at) => data[(Math.floor(at / 30) * 4 + 1) * 30 + (at % 30)]!);
  expect([...frames[1]!]).toEqual([...toPixels(second, { channels: 3, height: 5, width: 6 }, [-1, 1])]);
  expect(await picturesOf(same, [video], form)).toMatchObject({ overflowed: false });
  for (const value of [NaN, Infinity, -Infinity]) {
    data[100] = value;
    expect(await picturesOf(same, [video], form)).toMatchObject({ overflowed: true });
  }
  expect(await picturesOf(same, [video], { ...form, width: 5 })).toMatchObject({ frames: [], shape: video.shape });
  await expect(picturesOf(same, [video], { ...form, width: 2 ** 40 })).rejects.toMatchObject({ code: 'BAD_OPTION' });
  const aborted = picturesOf(same, [video], form, AbortSignal.abort());
  await expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR' });
});

test('previews are decoded in tiles where the pictures are, and the recipe says so', async () => {
  const manifest = embeddedManifest();
  const latent = { ...manifest.latent, channels: 3, height: 12, width: 12 };
  const vae = vaeSchema.parse({ decoder: { file: 'transformer.pt', dtype: 'float32' }, scale: 1, tileSize: 8 });
  const bundle = { ...manifest, latent, image: { ...manifest.image, channels: 3 as const }, vae };
  const tensor: Tensor = { data: new Float32Array(3 * 144), shape: [1, 3, 12, 12], dtype: 'float32' };
  const make = async (vaeTiling: boolean) => {
    const sizes: number[] = [];
    const components = {
      with: (_name: string, use: (part: TorchScript) => Promise<unknown>) => {
        const program = new Proxy(same, {
          get: (of, key) =>
            key === 'run'
              ? (inputs: Tensor[]) => (sizes.push(inputs[0]!.shape[3]!), of.run(inputs))
              : (Reflect.get(of, key) as unknown),
        });
        return use(vaeTiling ? program : same);
      },
    };
    const request = parse(
      generateSchema,
      { classLabel: 0, seed: 1, vaeTiling, preview: true, onStep: () => 0 },
      'options',
    );
    const planned = plan(request, plannedModel(bundle));
    const during = {
      guard: (callback: unknown) => callback,
      check: () => undefined,
      sample: async (_plan: unknown, onStep: (progress: object) => Promise<void>) => {
        await onStep({ step: 0, preview: tensor });
        sizes.push(0);
        return { latents: tensor, execution: {}, evaluations: {} };
      },
    };
    const addon = { info: () => ({ libtorch: '' }) };
    const { images } = await generatePictures(
      request,
      planned,
      during as never,
      { bundle, components, addon } as never,
    );
    return { sizes, vaeTiling: readOptions(images[0]!.toPng()).vaeTiling };
  };
  const tiles = [8, 8, 8, 8];
  const { sizes, vaeTiling } = await make(true);
  expect([sizes.indexOf(0), sizes.length, vaeTiling]).toEqual([tiles.length, 2 * tiles.length + 1, true]);
  expect(await make(false)).toEqual({ sizes: [0], vaeTiling: undefined });
});
