/** What every family's test does: one export, and the same run by diffusers and by us. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, expect, test } from '@jest/globals';

import { loadPipeline, type GenerateOptions, type GenerateResult, type Pipeline } from '../../../lib';
import { openBundle } from '../../../lib/bundle';
import type { Raster } from '../../../lib/image/png';
import { Components } from '../../../lib/model/components';
import { conditioningTensors } from '../../../lib/request/conditioning';
import { encodeRequest } from '../../../lib/call/prompts';
import { generateSchema } from '../../../lib/request/generateOptions';
import { encodePrompts } from '../../../lib/text';
import { toFloat32, type Tensor } from '../../../lib/tensor';

import { difference, expectEqual, noise, Oracle } from '../oracle';

export interface Detail {
  scale: number;
  layer: number;
  channels: number[];
}

/** One run in the words of both sides. */
export interface Run {
  /** Of the pipeline of diffusers, without latents. */
  reference: Record<string, unknown>;
  /** Of `generate`, without latents and guidance. */
  ours: GenerateOptions;
  /** [images, channels, height, width], of video with frames before the height. */
  latents: number[];
  /** Scale of classifier-free guidance; 1: none. */
  cfg?: number;
  detail?: Detail;
  /** Flux dev. */
  embedded?: number;
  /** Image to image: the size of `latents` is that of the picture, and the noise is that of the seed. */
  from?: { image: Raster; mask?: Raster; strength: number; seed: number };
}

/** A picture with something to see in it, `channels` 3 or, as a mask, 1. */
export function drawing(width: number, height: number, channels: 1 | 3): Raster {
  const pixels = Uint8Array.from({ length: width * height * channels }, (_, at) => {
    const [x, y] = [Math.floor(at / channels) % width, Math.floor(at / channels / width)];
    if (channels === 1) return (x - width / 2) ** 2 + (y - height / 3) ** 2 < (height / 4) ** 2 ? 255 : 0;
    return 128 + 120 * Math.sin((x * (1 + (at % 3)) + 2 * y) / 9);
  });
  return { width, height, channels, pixels };
}

/** One for all families of a test file: importing the pipelines of diffusers takes its process seconds. */
let oracle: Oracle | undefined;
afterAll(() => oracle?.close());

/** A family of pipelines: the bundle and both sides that run it. */
export class Family {
  private constructor(
    readonly oracle: Oracle,
    readonly pipeline: Pipeline,
    readonly folder: string,
    readonly family: string,
    readonly variant: string,
  ) {}

  /** `latents`: the size of the bundle's own latents in place of the exported one, [images, …]. */
  static async open(family: string, variant: string, latents?: number[]): Promise<Family> {
    oracle ??= new Oracle();
    const folder = join(oracle.folder, `${family}-${variant}`);
    await oracle.ask({ op: 'export', family, variant, out: folder });
    if (latents) resizeBundle(folder, latents);
    return new Family(oracle, await loadPipeline(folder, { device: 'cpu' }), folder, family, variant);
  }

  close(): Promise<void> {
    return this.pipeline.dispose();
  }

  /** The answer of reference/families.py. */
  reference(run: Run): Promise<Record<string, Tensor>> {
    const { family, variant } = this;
    const { reference: options, cfg = 1, detail = null, from } = run;
    const asked = { op: 'generate', family, variant, options, cfg, detail, seed: from?.seed ?? null };
    return this.oracle.ask(asked, {
      latents: noise(run.latents, 3),
      ...(from ? { image: bytes(from.image) } : {}),
      ...(from?.mask ? { mask: bytes(from.mask) } : {}),
    });
  }

  options({ ours, latents, cfg = 1, detail, embedded, from }: Run): GenerateOptions {
    return {
      ...ours,
      ...(from
        ? {
            image: from.image,
            strength: from.strength,
            seed: from.seed,
            ...(from.mask ? { maskImage: from.mask } : {}),
          }
        : { latents: noise(latents, 3) }),
      guidance: {
        ...(cfg === 1 ? {} : { classifierFree: { scale: cfg } }),
        ...(detail ? { detail: { ...detail, retention: 0 } } : {}),
        ...(embedded === undefined ? {} : { embedded: { scale: embedded } }),
      },
    };
  }

  ours(run: Run, more: GenerateOptions = {}): Promise<GenerateResult> {
    return this.pipeline.generate({ ...this.options(run), ...more });
  }

  /** Token ids of the prompt, by encoder. */
  async tokens(prompt: string, maxSequenceLength: number): Promise<Record<string, Tensor>> {
    const bundle = await openBundle(this.folder);
    const components = await this.components();
    const encoded = await encodePrompts([prompt], {
      bundle,
      tokenizers: components.tokenizers,
      maxSequenceLength,
      withEncoder: (name, use) => components.with(name, use),
      onWarning: undefined,
      onProgress: undefined,
      signal: undefined,
    });
    await components.dispose();
    return Object.fromEntries(Object.entries(encoded.get(prompt)!).map(([name, { ids }]) => [name, ids]));
  }

  /** What the transformer is given in the first step for the conditional branch, by the names of its inputs. */
  async firstInputs(run: Run): Promise<Record<string, Tensor>> {
    const options = this.options(run);
    const planned = this.pipeline.plan(options);
    const bundle = await openBundle(this.folder);
    const components = await this.components();
    const request = await encodeRequest(generateSchema.parse(options), planned, bundle, components);
    await components.dispose();
    const { size, images, classes } = planned;
    const tensors = conditioningTensors('conditional', request, images, classes, bundle, {
      size,
      embeddedScale: run.embedded,
    });
    const first = planned.steps[0]!;
    const latents = noise(run.latents, 3);
    const scale = planned.initialScale * first.inputScale;
    return Object.fromEntries(
      bundle.transformer.inputs.map(({ name, role, shape }): [string, Tensor] => {
        if (role === 'latent') {
          return [name, { ...latents, data: toFloat32(latents).map((value) => value * scale) }];
        }
        if (role === 'timestep') {
          return [name, { data: new Float32Array(images).fill(first.timestep), shape: [images], dtype: 'float32' }];
        }
        return [name, expanded(tensors.shift()!, shape[0] === 'batch' ? images : null)];
      }),
    );
  }

  private async components(): Promise<Components> {
    return Components.load(await openBundle(this.folder), {
      dtype: 'float32',
      devices: { textEncoders: 'cpu', vae: 'cpu' },
      lowMemory: false,
      allowAllOperators: false,
    });
  }
}

const bytes = ({ width, height, channels, pixels }: Raster): Tensor => ({
  data: pixels,
  shape: channels === 1 ? [height, width] : [height, width, channels],
  dtype: 'uint8',
});

/** What runs at the bundle's own size (`shapes`, features) would take half a minute for a video of 81 frames. */
function resizeBundle(folder: string, latents: number[]): void {
  const file = join(folder, 'bundle.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8'));
  const { latent, transformer } = manifest;
  const [height, width] = latents.slice(-2) as [number, number];
  const patch = latent.height / transformer.tokenGrid[0];
  transformer.tokenGrid = [height / patch, width / patch];
  Object.assign(latent, { height, width }, latents.length === 5 ? { frames: latents[2] } : {});
  writeFileSync(file, JSON.stringify(manifest));
}

/** A tensor of one row as one of `rows` rows. */
function expanded(tensor: Tensor, rows: number | null): Tensor {
  if (rows === null || tensor.shape[0] === rows) return tensor;
  const copies = Array.from({ length: rows }, () => [...(tensor.data as Float32Array)]).flat();
  const data = tensor.data instanceof BigInt64Array ? BigInt64Array.from(copies as never) : Float32Array.from(copies);
  return { ...tensor, data, shape: [rows, ...tensor.shape.slice(1)] };
}

/** Mean absolute difference of the pictures, in the 256 levels of a channel. */
export function pictureDifference({ images }: GenerateResult, wanted: Tensor): number {
  const expected = toFloat32(wanted);
  const found = images.flatMap(({ frames }) => frames.flatMap((frame) => [...frame]));
  expect(found.length).toBe(expected.length);
  return found.reduce((sum, level, index) => sum + Math.abs(level - 255 * expected[index]!), 0) / found.length;
}

/** Less than a level of 256: the bound. Rounding to levels alone is a quarter of one. */
export const oneLevel = 1;

/** Token ids, what the transformer is given, and what it gives, in a run without CFG. */
export async function expectSameBeginning(
  family: Family,
  run: Run,
  text?: { prompt: string; length: number },
): Promise<void> {
  const wanted = await family.reference(run);
  if (text) {
    const found = await family.tokens(text.prompt, text.length);
    const encoders = Object.keys(wanted).filter((name) => name.startsWith('ids.'));
    expect(Object.keys(found).sort()).toEqual(encoders.map((name) => name.slice(4)).sort());
    for (const name of encoders) expect([...found[name.slice(4)]!.data]).toEqual([...wanted[name]!.data]);
  }
  const inputs = await family.firstInputs(run);
  const latent = family.pipeline.bundle.transformer.inputs.find(({ role }) => role === 'latent')!.name;
  const compared = Object.entries(inputs).filter(([name]) => name !== latent && wanted[`input.${name}`]);
  for (const [name, found] of compared) {
    const expected = wanted[`input.${name}`]!;
    // Positions of text are zeros; relative to the largest value nothing could be said of them.
    if (Array.from(expected.data, Number).every((value) => value === 0)) {
      expect(Array.from(found.data, Number)).toEqual(Array.from(expected.data, Number));
    } else {
      expectEqual(`${family.family} ${family.variant}: ${name}`, asFloat(found, found), asFloat(expected, found));
    }
  }
  expect(compared.length).toBeGreaterThanOrEqual(2);
  const { output } = await family.pipeline.forward(inputs);
  expectEqual(`${family.family} ${family.variant}: first output`, output, wanted['output']!);
  expect(difference(output, wanted['output']!)).toBeLessThan(1e-4);
}

/** Indices and masks too; the reference has some shapes without the axis of size 1. */
const asFloat = (tensor: Tensor, { shape }: Tensor): Tensor => ({
  data: Float32Array.from(Array.from(tensor.data, Number)),
  shape,
  dtype: 'float32',
});

/** The same pictures, with the shared prefix and without. */
export async function expectSamePictures(family: Family, run: Run): Promise<void> {
  const { pictures } = await family.reference(run);
  const result = await family.ours(run);
  expect(pictureDifference(result, pictures!)).toBeLessThan(oneLevel);
  if (!run.detail) return;
  expect(result.execution.partialForward.shared).toBe(true);
  const whole = await family.ours(run, { partialForward: false });
  expect(whole.execution.partialForward.shared).toBe(false);
  expect(pictureDifference(whole, pictures!)).toBeLessThan(oneLevel);
  // Guidance that does nothing would pass too.
  const plain = { ...run, detail: undefined };
  expect(pictureDifference(await family.ours(plain), pictures!)).toBeGreaterThan(oneLevel);
}

/** Image to image and inpainting. @param guided with CFG, at another size than the export's */
export function testStartingPictures(family: () => Family, guided: Run): void {
  const from = { image: drawing(80, 48, 3), strength: 0.6, seed: 11 };
  const along: Run = { ...guided, reference: { ...guided.reference, strength: 0.6 }, from };
  test('image to image', () => expectSamePictures(family(), along));
  test('image to image with DG', () =>
    expectSamePictures(family(), { ...along, detail: { scale: 1, layer: 1, channels: [7, 19] } }));
  test('inpainting a picture and a mask of other sizes', () =>
    expectSamePictures(family(), {
      ...along,
      from: { ...from, image: drawing(131, 60, 3), mask: drawing(50, 31, 1) },
    }));
  test('inpainting', () => expectSamePictures(family(), { ...along, from: { ...from, mask: drawing(80, 48, 1) } }));
  test('inpainting from pure noise', () =>
    expectSamePictures(family(), {
      ...along,
      reference: { ...along.reference, strength: 1 },
      from: { ...from, strength: 1, mask: drawing(80, 48, 1) },
    }));
}
