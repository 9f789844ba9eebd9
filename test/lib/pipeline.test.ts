/** The facade over the real addon and the embedded model. */
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import {
  loadPipeline,
  quantizeBundle,
  readMetadata,
  readOptions,
  type ForwardOptions,
  type GenerateOptions,
  type Hook,
  type Pipeline,
  type SchedulerChanges,
  type StepEvent,
  type Tensor,
} from '../../lib';
import { psnr } from '../../lib/evaluation/fidelity';
import type { GuidanceOptions } from '../../lib/guidance';
import { native } from '../../lib/native';
import { packageRoot } from '../../lib/files/packageRoot';

const embedded = join(packageRoot(), 'models', 'embedded');
const short = { classLabel: 8, seed: 7, numInferenceSteps: 4 } satisfies GenerateOptions;

let pipeline: Pipeline;
let folder: string;

beforeAll(async () => {
  pipeline = await loadPipeline('embedded', { device: 'cpu' });
  folder = await mkdtemp(join(tmpdir(), 'pipeline-'));
});

afterAll(async () => {
  await pipeline.dispose();
  await rm(folder, { recursive: true, force: true });
});

const bytes = async (options: GenerateOptions) => Buffer.from((await pipeline.generate(options)).images[0]!.toPng());
const values = async (options: GenerateOptions) =>
  Array.from((await pipeline.generate({ ...short, ...options })).latents.data as Float32Array);
const largestDifference = (a: number[], b: number[]) =>
  Math.max(...a.map((value, index) => Math.abs(value - b[index]!)));

describe('generate', () => {
  test('1. the same seed gives the same bytes, whatever numImages is', async () => {
    const { images, seeds } = await pipeline.generate({ ...short, numImages: 3 });
    expect(seeds).toEqual([7, 8, 9]);
    for (const [index, image] of images.entries()) {
      expect(image.seed).toBe(7 + index);
      expect(Buffer.from(image.toPng()).equals(await bytes({ ...short, seed: 7 + index }))).toBe(true);
    }
    expect(images[0]!.pixels).not.toEqual(images[1]!.pixels);
  });

  test('2. pictures have the size and the channels of the bundle', async () => {
    const { images, latents } = await pipeline.generate(short);
    expect(images[0]).toMatchObject({ width: 28, height: 28, channels: 1 });
    expect(images[0]!.pixels).toHaveLength(28 * 28);
    expect(latents).toMatchObject({ shape: [1, 1, 28, 28], dtype: 'float32' });
  });

  test('3. one class for each image; names and indices are the same', async () => {
    const { images } = await pipeline.generate({ ...short, classLabel: ['Bag', 'Trouser'] });
    expect(images.map(({ metadata }) => metadata.class)).toEqual([8, 1]);
    expect(Buffer.from(images[0]!.toPng()).equals(await bytes(short))).toBe(true);
  });

  test('4. latents in place of the seed', async () => {
    const latents = native().gaussian(7n, [1, 1, 28, 28]);
    expect(await values({ latents })).toEqual(await values({}));
    expect(await values({ latents, seed: 99 })).toEqual(await values({}));
  });

  test('5. without a seed, the one that was drawn makes the picture again', async () => {
    const { images } = await pipeline.generate({ ...short, seed: undefined });
    expect(Buffer.from(images[0]!.toPng()).equals(await bytes({ ...short, seed: images[0]!.seed }))).toBe(true);
  });

  test('6. a picture of a batch differs from the picture alone by rounding only', async () => {
    const { latents } = await pipeline.generate({ ...short, numImages: 4, batchSize: 4 });
    const alone = await values({ numImages: 4 });
    expect(largestDifference(Array.from(latents.data as Float32Array), alone)).toBeLessThan(1e-4);
  });

  // A product of other rows may differ in its last bit (docs/determinism.md): it does without AVX-512.
  test('7. a shared prefix changes rounding only', async () => {
    const guidance = { classifierFree: { scale: 3 }, detail: { scale: 0.5, layer: 4 } };
    const { execution, evaluations } = await pipeline.generate({ ...short, guidance });
    expect(execution.partialForward).toMatchObject({ shared: true, reason: null });
    expect(evaluations).toBe(3 * 4);
    const whole = await values({ guidance, partialForward: false });
    expect(largestDifference(await values({ guidance }), whole)).toBeLessThan(1e-5);
  });
});

describe('guidance', () => {
  test('1. off in all steps, or of weight 0, is the conditional prediction', async () => {
    const conditional = await values({ guidance: {} });
    expect(await values({ guidance: { classifierFree: { scale: 5, stop: 0 }, detail: { scale: 0 } } })).toEqual(
      conditional,
    );
    expect(await values({ guidance: { detail: { retention: 1 } } })).not.toEqual([]);
    expect(largestDifference(await values({ guidance: { detail: { retention: 1 } } }), conditional)).toBeLessThan(1e-5);
  });

  test('2. a window that ends before the last step leaves the later steps alone', async () => {
    const early = { classifierFree: { scale: 4, stop: 0.5 } };
    const twice = await pipeline.generate({ ...short, guidance: early });
    expect(twice.evaluations).toBe(2 + 2 + 1 + 1);
  });

  const techniques: GuidanceOptions[] = [
    { classifierFree: { scale: 3 } },
    { detail: { scale: 0.5 } },
    { detail: { scale: 0.5, tokens: [0, 1, 2, 3] } },
    { detail: { scale: 0.5, retention: { kind: 'cosine', data: 0, noise: 1 } } },
    { detail: { scale: 0.5, control: { kind: 'matched-channels' } } },
    { detail: { scale: 0.5, control: { kind: 'random-tokens' } } },
    { disrupt: {} },
    { slg: { start: 0, stop: 1 } },
    { pag: { scale: 1 } },
    { seg: { scale: 1 } },
    { seg: { scale: 1, sigma: 1 } },
    { tpg: { scale: 1 } },
    { s2: {} },
    { blur: {} },
    { classifierFree: { scale: 3 }, apg: {} },
    { classifierFree: { scale: 3 }, cfgZeroStar: {} },
    { classifierFree: { scale: 3 }, rescale: {} },
  ];

  test.each(techniques.map((guidance) => [JSON.stringify(guidance), guidance] as const))(
    '3. %s changes the picture, and leaves it finite',
    async (_name, guidance) => {
      const changed = await values({ guidance });
      expect(changed.every(Number.isFinite)).toBe(true);
      expect(changed).not.toEqual(await values({ guidance: {} }));
    },
  );

  test('4. reuse computes fewer branches and stays near', async () => {
    const detail = { scale: 0.5 };
    const eight = { ...short, numInferenceSteps: 8 };
    const full = await pipeline.generate({ ...eight, guidance: { detail } });
    const reused = await pipeline.generate({ ...eight, guidance: { detail: { ...detail, reuse: 2 } } });
    expect([full.evaluations, reused.evaluations]).toEqual([16, 13]);
    const [a, b] = [full, reused].map(({ latents }) => Array.from(latents.data as Float32Array));
    const without = await values({ numInferenceSteps: 8, guidance: {} });
    expect(largestDifference(a!, b!)).toBeGreaterThan(0);
    expect(largestDifference(a!, b!)).toBeLessThan(largestDifference(a!, without));
  });

  test('4. the fast preset is 35 dB from the full one on average, and nearer than no Detail Guidance', async () => {
    const classLabel = [0, 3, 6, 8];
    const pictures = async (guidance: 'cfg' | 'detail+cfg' | 'detail+cfg-fast') => {
      const { images, evaluations } = await pipeline.generate({ classLabel, seed: 20, guidance });
      return { evaluations, values: images.map(({ pixels }) => Float32Array.from(pixels, (value) => value / 255)) };
    };
    const [plain, full, fast] = [
      await pictures('cfg'),
      await pictures('detail+cfg'),
      await pictures('detail+cfg-fast'),
    ];
    // Of 20 steps 0, 3, …, 18 and the last compute the detail-deficient branch.
    expect([full.evaluations, fast.evaluations]).toEqual([4 * 20 * 3, 4 * (20 * 2 + 8)]);
    const ratios: number[] = [];
    for (const [image, wanted] of full.values.entries()) {
      const error = (values: Float32Array) =>
        wanted.reduce((sum, value, at) => sum + (value - values[at]!) ** 2, 0) / wanted.length;
      const near = error(fast.values[image]!);
      ratios.push(psnr(near));
      expect(psnr(near)).toBeGreaterThan(34);
      expect(near).toBeLessThan(error(plain.values[image]!));
    }
    expect(ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length).toBeGreaterThan(35);
  });

  test('5. a threshold decides while sampling: 0 reuses nothing, a large one nearly all', async () => {
    const eight = { ...short, numInferenceSteps: 8 };
    const counted = async (threshold: number) =>
      (await pipeline.generate({ ...eight, guidance: { detail: { reuse: { threshold } } } })).evaluations;
    expect(await counted(0)).toBe(16);
    expect(await counted(100)).toBeLessThanOrEqual(8 + 3);
  });

  test.each<SchedulerChanges>([
    { kind: 'flow-match-euler', shift: 3 },
    { kind: 'flow-match-heun' },
    { kind: 'dpm-solver++' },
  ])('6. sampler %j', async (scheduler) => {
    expect((await values({ scheduler, numInferenceSteps: 8 })).every(Number.isFinite)).toBe(true);
  });
});

describe('onStep', () => {
  test('1. is told every step of every image, with previews', async () => {
    const events: StepEvent[] = [];
    await pipeline.generate({ ...short, numImages: 2, preview: true, onStep: (event) => events.push(event) });
    expect(events.map(({ image, step }) => [image, step])).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
      [0, 4],
      [1, 1],
      [1, 2],
      [1, 3],
      [1, 4],
    ]);
    expect(events.every(({ steps, images }) => steps === 4 && images === 2)).toBe(true);
    expect(events.at(-1)!.fraction).toBe(1);
    expect(events[0]!.fraction).toBe(1 / 8);
    expect(events[0]!.preview).toMatchObject([{ width: 28, height: 28, channels: 1 }]);
  });

  test('2. is given a preview of the steps that a function names', async () => {
    const events: StepEvent[] = [];
    const preview = ({ step, preview: given }: StepEvent) => step === 2 && given === undefined;
    await pipeline.generate({ ...short, preview, onStep: (event) => events.push(event) });
    expect(events.map(({ step, preview: pictures }) => [step, pictures?.length])).toEqual([
      [1, undefined],
      [2, 1],
      [3, undefined],
      [4, undefined],
    ]);
    const thrown = () => {
      throw new Error('mine');
    };
    await expect(pipeline.generate({ ...short, preview: thrown, onStep: () => undefined })).rejects.toThrow('mine');
    // @ts-expect-error: neither a boolean nor a function
    await expect(pipeline.generate({ ...short, preview: 3 })).rejects.toThrow('true, false or a function');
  });

  test('3. has no preview unless asked', async () => {
    const events: StepEvent[] = [];
    await pipeline.generate({ ...short, onStep: (event) => events.push(event) });
    expect(events.every((event) => !('preview' in event))).toBe(true);
  });

  test('4. an exception in it ends the run and rejects the call with it', async () => {
    const error = new Error('mine');
    let calls = 0;
    const run = pipeline.generate({
      ...short,
      numInferenceSteps: 50,
      onStep: () => {
        calls++;
        throw error;
      },
    });
    await expect(run).rejects.toBe(error);
    expect(calls).toBe(1);
    await expect(pipeline.generate(short)).resolves.toBeDefined();
  });
});

describe('calls at the same time', () => {
  test('run one after the other and do not mix', async () => {
    const guidances: GuidanceOptions[] = [{}, { classifierFree: { scale: 3 } }, { disrupt: { layer: 2 } }];
    const finished: number[] = [];
    const together = await Promise.all(
      guidances.map(async (guidance, index) => {
        const found = await values({ guidance });
        finished.push(index);
        return found;
      }),
    );
    expect(finished).toEqual([0, 1, 2]);
    for (const [index, guidance] of guidances.entries()) expect(together[index]).toEqual(await values({ guidance }));
  });

  test('a call that fails does not stop the next one', async () => {
    const failing = pipeline.generate({
      ...short,
      onStep: () => {
        throw new Error('mine');
      },
    });
    const next = pipeline.generate(short);
    await expect(failing).rejects.toThrow('mine');
    await expect(next).resolves.toBeDefined();
  });
});

describe('abort', () => {
  const aborted = (reason: unknown) => ({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });

  test('1. before', async () => {
    const reason = new Error('early');
    await expect(pipeline.generate({ ...short, signal: AbortSignal.abort(reason) })).rejects.toMatchObject(
      aborted(reason),
    );
  });

  test('2. during: no further step is told', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    let steps = 0;
    const run = pipeline.generate({
      ...short,
      numInferenceSteps: 200,
      signal: controller.signal,
      onStep: () => {
        if (++steps === 2) controller.abort(reason);
      },
    });
    await expect(run).rejects.toMatchObject(aborted(reason));
    expect(steps).toBe(2);
  });

  test('3. while waiting for an earlier call', async () => {
    const controller = new AbortController();
    const first = pipeline.generate(short);
    const second = pipeline.generate({ ...short, signal: controller.signal });
    controller.abort();
    await expect(second).rejects.toMatchObject({ name: 'AbortError' });
    await expect(first).resolves.toBeDefined();
  });

  test('4. while loading', async () => {
    await expect(loadPipeline('embedded', { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});

describe('dispose', () => {
  test('ends what runs, refuses what comes after, and may be called again', async () => {
    const own = await loadPipeline('embedded', { device: 'cpu' });
    const running = own.generate({ ...short, numInferenceSteps: 500 });
    const waiting = own.generate(short);
    const settled = Promise.allSettled([running, waiting]);
    await Promise.all([own.dispose(), own.dispose()]);
    for (const { status, reason } of (await settled) as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(reason).toMatchObject({ code: 'DISPOSED' });
    }
    await own.dispose();
    await expect(own.generate(short)).rejects.toMatchObject({ code: 'DISPOSED' });
    await expect(own.forward({})).rejects.toMatchObject({ code: 'DISPOSED' });
    expect(() => own.plan(short)).toThrow(/disposed/);
  });

  test('by Symbol.asyncDispose', async () => {
    const own = await loadPipeline('embedded', { device: 'cpu' });
    await own[Symbol.asyncDispose]();
    await expect(own.generate(short)).rejects.toMatchObject({ code: 'DISPOSED' });
  });
});

describe('saving, and making a picture again', () => {
  test('1. the PNG says how it was made; its options make the same bytes', async () => {
    const options: GenerateOptions = {
      ...short,
      numImages: 2,
      guidance: {
        classifierFree: { scale: 3 },
        detail: { scale: 0.5, retention: { kind: 'linear', data: 0, noise: 1 } },
      },
      scheduler: { shift: 2 },
    };
    const { images } = await pipeline.generate(options);
    const path = join(folder, 'second.png');
    await images[1]!.save(path);
    const png = await readFile(path);
    expect(readMetadata(png)).toMatchObject({
      seed: 8,
      class: 8,
      device: 'cpu',
      dtype: 'float32',
      plan: { images: 1 },
    });
    expect((await bytes(readOptions(png))).equals(png)).toBe(true);
  });

  test('2. with numbers and tensors that JSON has not', async () => {
    const mask: Tensor = { data: Float32Array.of(1, 0), shape: [1, 2], dtype: 'float32' };
    const guidance = { detail: { tokens: mask }, seg: { scale: 0.5, sigma: Infinity } };
    const { images } = await pipeline.generate({ ...short, guidance });
    const png = images[0]!.toPng();
    expect((await bytes(readOptions(png))).equals(Buffer.from(png))).toBe(true);
  });

  test('3. with latents of its own', async () => {
    const latents = native().gaussian(3n, [2, 1, 28, 28]);
    const { images } = await pipeline.generate({ ...short, latents });
    const png = images[1]!.toPng();
    expect((await bytes(readOptions(png))).equals(Buffer.from(png))).toBe(true);
  });

  test('3b. says how the model was loaded, where it was told', async () => {
    await using unfused = await loadPipeline('embedded', { device: 'cpu', fuse: false });
    const { images } = await unfused.generate(short);
    expect(readMetadata(images[0]!.toPng())).toMatchObject({ fuse: false });
    const [plain] = (await pipeline.generate(short)).images;
    expect(Object.keys(readMetadata(plain!.toPng()))).not.toContain('fuse');
  });

  test('4. an output that cannot be written leaves nothing', async () => {
    const { images } = await pipeline.generate(short);
    const path = join(folder, 'no', 'such', 'folder.png');
    await expect(images[0]!.save(path)).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('5. a PNG that says nothing', () => {
    expect(() => readOptions(Uint8Array.of(1, 2, 3))).toThrow(expect.objectContaining({ code: 'BAD_TENSOR' }));
  });
});

describe('forward', () => {
  const inputs = (): Record<string, Tensor> => ({
    sample: native().gaussian(1n, [2, 1, 28, 28]),
    timestep: { data: Float32Array.of(0.5, 0.25), shape: [2], dtype: 'float32' },
    class: { data: BigInt64Array.of(1n, 2n), shape: [2], dtype: 'int64' },
  });

  test('1. captures hidden states, and leaves the output as it was', async () => {
    const plain = await pipeline.forward(inputs());
    const { output, captures } = await pipeline.forward(inputs(), {
      hooks: [{ path: 'blocks.*', tap: 'output', stream: 'image' }],
    });
    expect(output).toEqual(plain.output);
    expect(captures.map(({ block }) => block)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(captures[0]!.tensor.shape).toEqual([2, 49, 128]);
  });

  test('2. edits act in this call alone', async () => {
    const plain = await pipeline.forward(inputs());
    const { output, captures } = await pipeline.forward(inputs(), {
      hooks: [{ path: 'blocks.3', edits: [{ operation: 'retain', channels: [5] }] }],
    });
    expect(output.data).not.toEqual(plain.output.data);
    expect(captures).toEqual([]);
    expect((await pipeline.forward(inputs())).output).toEqual(plain.output);
  });

  test('2b. an edit means the same by layer, by path and by the place of its hook', async () => {
    const { layer, channels } = pipeline.bundle.massiveActivations!;
    const path = `blocks.${layer}`;
    const run = async (hook: Hook) => (await pipeline.forward(inputs(), { hooks: [hook] })).output;
    const zeroed = await run({ layer, edits: [{ operation: 'zero', channels: 'auto' }] });
    expect(zeroed).not.toEqual((await pipeline.forward(inputs())).output);
    expect(await run({ path, edits: [{ operation: 'retain', retention: 0, channels: [...channels] }] })).toEqual(
      zeroed,
    );
    expect(await run({ layer: 0, edits: [{ operation: 'zero', layer, channels: 'auto' }] })).toEqual(zeroed);
    const blurred = await run({ layer, edits: [{ operation: 'blur' }] });
    expect(blurred).not.toEqual((await pipeline.forward(inputs())).output);
    expect(await run({ path, edits: [{ operation: 'blur', sigma: 1 }] })).toEqual(blurred);
    const identity = await run({ layer, edits: [{ operation: 'identity' }] });
    expect(await run({ path: `${path}.attention`, edits: [{ operation: 'identity' }] })).toEqual(identity);
  });

  test('3. shapes of the sites', async () => {
    const shapes = await pipeline.shapes();
    const index = pipeline.sites.findIndex((site) => site.block === 7 && site.tap === 'output');
    expect(shapes).toHaveLength(pipeline.sites.length);
    expect(shapes[index]).toEqual([1, 49, 128]);
  });

  test.each<[string, (given: Record<string, Tensor>) => void, string]>([
    ['a missing input', (given) => delete given['class'], 'BAD_OPTION'],
    ['an unknown input', (given) => (given['clas'] = given['class']!), 'BAD_OPTION'],
    ['an input of another dtype', (given) => (given['class'] = given['timestep']!), 'BAD_TENSOR'],
    ['an input of another shape', (given) => (given['sample'] = native().gaussian(1n, [2, 1, 28, 27])), 'BAD_TENSOR'],
  ])('4. refuses %s', async (_name, change, code) => {
    const given = inputs();
    change(given);
    await expect(pipeline.forward(given)).rejects.toMatchObject({ code });
  });

  test('5. what was captured in one run can be put into another', async () => {
    const from = await pipeline.forward(inputs(), { hooks: [{ path: 'blocks.3' }] });
    const other: Record<string, Tensor> = {
      ...inputs(),
      class: { data: BigInt64Array.of(7n, 8n), shape: [2], dtype: 'int64' },
    };
    const source = from.captures[0]!.tensor;
    const hooks = [{ path: 'blocks.3', edits: [{ operation: 'transplant' as const, source }] }];
    const after = await pipeline.forward(other, { hooks: [...hooks, { path: 'blocks.4' }] });
    expect(after.output).not.toEqual((await pipeline.forward(other)).output);
    const wrong = { ...source, data: source.data.slice(0, 2 * 128), shape: [2, 1, 128] } as Tensor;
    const run = pipeline.forward(other, {
      hooks: [{ path: 'blocks.3', edits: [{ operation: 'transplant', source: wrong }] }],
    });
    await expect(run).rejects.toMatchObject({ code: 'BAD_TENSOR' });
  });

  test.each<[string, ForwardOptions, RegExp]>([
    [
      'an unknown operation',
      { hooks: [{ path: 'blocks.3', edits: [{ operation: 'zap' as 'mean' }] }] },
      /operation: expected .*, received 'zap'/,
    ],
    [
      'an unknown tap',
      { hooks: [{ path: 'blocks.3', tap: 'weights' as 'input' }] },
      /tap: expected .*, received 'weights'/,
    ],
    ['no place', { hooks: [{}] }, /hooks\[0\]: expected either 'layer' or 'path', received neither/],
    [
      'a parameter of another operation',
      { hooks: [{ layer: 3, edits: [{ operation: 'mean', sigma: 1 } as never] }] },
      /^options\.hooks\[0\]\.edits\[0\]\.sigma: expected nothing, since 'blur' alone/,
    ],
    [
      'a match without reference',
      { hooks: [{ layer: 3, edits: [{ operation: 'match', channels: [1] } as never] }] },
      /^options\.hooks\[0\]\.edits\[0\]\.reference: expected .*, received nothing/,
    ],
    [
      'a schedule in a single run',
      { hooks: [{ layer: 3, edits: [{ operation: 'retain', retention: { kind: 'linear', data: 0, noise: 1 } }] }] },
      /^options\.hooks\[0\]\.edits\[0\]\.retention: expected a number, received a schedule/,
    ],
    ['another option', { hook: [] } as ForwardOptions, /hook: expected 'hooks'/],
  ])('6. refuses %s', async (_name, options, message) => {
    const run = pipeline.forward(inputs(), options);
    await expect(run).rejects.toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(message) });
  });

  test('7. a pattern that matches nothing names near ones', async () => {
    const run = pipeline.forward(inputs(), { hooks: [{ path: 'block.3' }] });
    await expect(run).rejects.toMatchObject({ code: 'SITE_NOT_FOUND', message: expect.stringMatching(/blocks\.3/) });
  });
});

describe('bad input', () => {
  test.each<[string, GenerateOptions, string]>([
    ['an unknown option', { sed: 1 } as GenerateOptions, 'BAD_OPTION'],
    ['a scale that is NaN', { guidance: { detail: { scale: NaN } } }, 'BAD_OPTION'],
    ['a class that does not exist', { classLabel: 10 }, 'CLASS_OUT_OF_RANGE'],
    ['a layer out of range', { guidance: { detail: { layer: 8 } } }, 'LAYER_OUT_OF_RANGE'],
    ['a channel out of range', { guidance: { detail: { channels: [128] } } }, 'CHANNEL_OUT_OF_RANGE'],
    ['a token out of range', { guidance: { detail: { tokens: [49] } } }, 'TOKEN_OUT_OF_RANGE'],
    [
      'latents of another shape',
      { latents: { data: new Float32Array(4), shape: [1, 1, 2, 2], dtype: 'float32' } },
      'BAD_TENSOR',
    ],
    [
      'latents with NaN',
      { latents: { data: new Float32Array(784).fill(NaN), shape: [1, 1, 28, 28], dtype: 'float32' } },
      'BAD_TENSOR',
    ],
    [
      'latents for another count',
      { numImages: 2, latents: { data: new Float32Array(784), shape: [1, 1, 28, 28], dtype: 'float32' } },
      'BAD_TENSOR',
    ],
    [
      'conditioning of a model that takes none',
      { conditioning: { text: { data: new Float32Array(1), shape: [1], dtype: 'float32' } } },
      'BAD_OPTION',
    ],
  ])('%s', async (_name, options, code) => {
    await expect(pipeline.generate({ ...short, ...options })).rejects.toMatchObject({
      name: 'DetailGuidanceError',
      code,
    });
  });

  test.each<[string, () => unknown]>([
    ['no options at all', () => pipeline.generate(null as never)],
    ['inputs that are none', () => pipeline.forward(null as never)],
    ['a signal that is none', () => pipeline.shapes({} as never)],
    ['the same, of latents', () => pipeline.decode({} as never, 1 as never)],
    ['options that are none, of a stream', () => pipeline.stream(5 as never).next()],
    ['a callback that is none, of a stream', () => pipeline.stream({ ...short, onStep: 5 as never }).next()],
    ['a signal that is none, of a stream', () => pipeline.stream({ ...short, signal: {} as never }).next()],
    ['nowhere to write to', () => quantizeBundle('embedded', undefined as never)],
    ['a folder that is none', () => quantizeBundle('embedded', { out: 5 } as never)],
  ])('BAD_OPTION for %s', async (_name, call) => {
    await expect(call()).rejects.toMatchObject({ name: 'DetailGuidanceError', code: 'BAD_OPTION' });
  });

  /** A copy of the embedded bundle with another transformer, its checksum right. */
  async function bundleWith(name: string, transformer: Uint8Array): Promise<string> {
    const place = join(folder, name);
    await cp(embedded, place, { recursive: true });
    await writeFile(join(place, 'transformer.pt'), transformer);
    const manifest = JSON.parse(await readFile(join(place, 'bundle.json'), 'utf8'));
    const sha256 = createHash('sha256').update(transformer).digest('hex');
    manifest.files['transformer.pt'] = { sha256, bytes: transformer.length };
    await writeFile(join(place, 'bundle.json'), JSON.stringify(manifest));
    return place;
  }

  test('a plan refuses the seeds and tensors that generate refuses, in the same words', async () => {
    const place = await bundleWith('without-null-class', await readFile(join(embedded, 'transformer.pt')));
    const manifest = JSON.parse(await readFile(join(place, 'bundle.json'), 'utf8'));
    delete manifest.conditioning.nullClass;
    await writeFile(join(place, 'bundle.json'), JSON.stringify(manifest));
    const other = await loadPipeline(place, { device: 'cpu' });
    const missing = native().gaussian(7n, [1, 1, 28, 28]);
    (missing.data as Float32Array)[3] = NaN;
    const refused: [Pipeline, GenerateOptions, RegExp][] = [
      [pipeline, { ...short, seed: [1, 2], numImages: 3 }, /options\.seed: expected one seed for each of 3 images/],
      [pipeline, { ...short, latents: missing }, /options\.latents: expected finite/],
      [pipeline, { ...short, latents: { ...missing, shape: [1, 28, 28] } }, /options\.latents: expected/],
      [pipeline, { ...short, conditioning: { made: missing } }, /options\.conditioning\.made/],
      [other, { ...short, guidance: { classifierFree: { scale: 2 } } }, /no null class/],
    ];
    try {
      for (const [model, options, words] of refused) {
        expect(() => model.plan(options)).toThrow(words);
        await expect(model.generate(options)).rejects.toThrow(words);
      }
    } finally {
      await other.dispose();
    }
  });

  test('a TorchScript file that is not a transformer', async () => {
    const place = await bundleWith('classifier', await readFile(join(embedded, 'classifier.pt')));
    await expect(loadPipeline(place, { device: 'cpu' })).rejects.toMatchObject({ code: 'NOT_A_TRANSFORMER' });
  });

  test('a file that is no TorchScript at all', async () => {
    const place = await bundleWith('text', new TextEncoder().encode('not a model'));
    await expect(loadPipeline(place, { device: 'cpu' })).rejects.toMatchObject({ code: 'MODEL_UNREADABLE' });
  });

  test('CUDA where there is none, or not so many', async () => {
    const { available } = native().cuda();
    const device = available ? 'cuda:99' : 'cuda';
    await expect(loadPipeline('embedded', { device })).rejects.toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      message: expect.stringMatching(/^options\.device: expected /),
    });
  });
});
