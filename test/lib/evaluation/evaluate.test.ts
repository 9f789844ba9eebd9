/** Evaluations of the embedded model: what comes out, resuming, and what is refused before anything is sampled. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { evaluate, type EvaluateOptions } from '../../../lib/evaluation';
import { shardSize } from '../../../lib/evaluation/sampling';
import { loadPipeline, type Pipeline } from '../../../lib/pipeline';
import { encodeSafetensors } from '../../../lib/tensor';

// Whole evaluations, on machines that do other work too.
jest.setTimeout(300_000);

let folder: string;
let pipeline: Pipeline;
const at = (name: string) => join(folder, name);
const json = (...parts: string[]) => JSON.parse(readFileSync(join(folder, ...parts), 'utf8')) as unknown;

const settings = [
  { name: 'conditional', guidance: {} },
  { name: 'detail', guidance: { detail: { scale: 0.5, layer: 3, channels: [89, 121] } } },
];

function options(out: string, more: Partial<EvaluateOptions> = {}): EvaluateOptions {
  return {
    out: at(out),
    reference: at('reference.safetensors'),
    samples: 24,
    numInferenceSteps: 2,
    batchSize: 12,
    settings,
    // Few, since each takes an eigenvalue decomposition of 128 features.
    errorGroups: 3,
    kernel: { subsets: 4, subsetSize: 20 },
    ...more,
  };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'evaluate-'));
  pipeline = await loadPipeline('embedded', { device: 'cpu' });
  const { images } = await pipeline.generate({
    classLabel: Array.from({ length: 40 }, (_, index) => index % 10),
    seed: 1000,
    numInferenceSteps: 3,
    batchSize: 40,
  });
  const pixels = new Uint8Array(40 * 784);
  images.forEach((image, index) => pixels.set(image.pixels, index * 784));
  const labels = BigInt64Array.from({ length: 40 }, (_, index) => BigInt(index % 10));
  const file = encodeSafetensors({
    images: { data: pixels, shape: [40, 28, 28, 1], dtype: 'uint8' },
    labels: { data: labels, shape: [40], dtype: 'int64' },
  });
  writeFileSync(at('reference.safetensors'), file);
});

afterAll(async () => {
  await pipeline.dispose();
  rmSync(folder, { recursive: true });
});

describe('an evaluation', () => {
  test('gives every metric of every setting, and the difference to the first', async () => {
    const stages = new Set<string>();
    let last = { done: 0, total: 1 };
    const result = await evaluate(
      pipeline,
      options('whole', {
        onProgress: (event) => {
          stages.add(event.stage);
          expect(event.done).toBeGreaterThanOrEqual(last.done - 1e-9);
          last = event;
        },
      }),
    );
    expect([...stages]).toEqual(['reference', 'sampling', 'measuring', 'comparing']);
    expect(last.done).toBeCloseTo(last.total, 6);
    expect(result.features).toMatchObject({ name: 'classifier-features', width: 128, range: [-1, 1] });
    expect(result.reference).toMatchObject({ count: 40, recognised: expect.any(Number) as unknown });
    const [first, second] = result.settings;
    expect(first).toMatchObject({ name: 'conditional', guidance: {}, difference: null });
    for (const { frechet, kernel, precisionRecall, recognised, spectrum } of result.settings) {
      expect(frechet.distance).toBeGreaterThan(0);
      expect(frechet.standardError).toBeGreaterThan(0);
      expect(kernel).toMatchObject({ subsets: 4, subsetSize: 20 });
      expect(precisionRecall.precision).toBeLessThanOrEqual(1);
      expect(recognised!.low).toBeLessThanOrEqual(recognised!.high);
      expect(spectrum.radial).toHaveLength(14);
    }
    expect(second!.difference!.frechet.value).toBeCloseTo(second!.frechet.distance - first!.frechet.distance, 9);
    // Fewer images than features: stated.
    expect(result.notes.filter((note) => note.includes('too few for a covariance'))).toHaveLength(2);
    expect(json('whole', 'result.json')).toEqual(JSON.parse(JSON.stringify(result)));
  });

  test('that was aborted goes on where it was, to the same result', async () => {
    const controller = new AbortController();
    const request = options('aborted', {
      settings: settings.slice(0, 1),
      samples: shardSize + 10,
      numInferenceSteps: 1,
      batchSize: 50,
    });
    const aborted = evaluate(pipeline, {
      ...request,
      signal: controller.signal,
      // The reference and the first shard are done, the second one is under way.
      onProgress: ({ done }) => {
        if (done > 40 + shardSize) controller.abort();
      },
    });
    await expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR' });
    const place = (...names: string[]) => join(at('aborted'), ...names);
    expect(readdirSync(place()).sort()).toEqual(['conditional', 'evaluation.json', 'reference']);
    expect(readdirSync(place('conditional')).sort()).toEqual(['samples-00000.safetensors', 'setting.json']);
    const kept = readFileSync(place('conditional', 'samples-00000.safetensors'));
    const resumed = await evaluate(pipeline, { ...request, resume: true });
    expect(readFileSync(place('conditional', 'samples-00000.safetensors')).equals(kept)).toBe(true);
    expect(resumed).toEqual(await evaluate(pipeline, { ...request, out: at('unbroken') }));
  });

  test('of a quantised model says so, and does not go on where a plain one began', async () => {
    const first = await evaluate(pipeline, options('plain', { settings: settings.slice(0, 1) }));
    expect(first.quantized).toBeUndefined();
    await using quantised = await loadPipeline('embedded', {
      device: 'cpu',
      // Rounded in no arithmetic of 8 bits: any processor has it.
      quantize: { activations: 'none', channels: [3] },
    });
    const second = await evaluate(quantised, options('quantised', { settings: settings.slice(0, 1) }));
    expect(second.quantized).toEqual({ weights: 'int8', activations: 'none', kept: [], layers: 32, channels: [3] });
    await expect(
      evaluate(quantised, options('plain', { resume: true, settings: settings.slice(0, 1) })),
    ).rejects.toMatchObject({ code: 'BAD_OPTION', message: expect.stringContaining('quantized') as unknown });
  });

  test('can be given another setting later, but no other samples', async () => {
    const first = await evaluate(pipeline, options('later', { settings: settings.slice(0, 1) }));
    const both = await evaluate(pipeline, options('later', { resume: true }));
    expect(both.settings[0]).toEqual(first.settings[0]);
    const changed = [settings[0]!, { name: 'detail', guidance: { detail: { scale: 0.4, layer: 3, channels: [89] } } }];
    await expect(evaluate(pipeline, options('later', { resume: true, settings: changed }))).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining('guidance') as unknown,
    });
    await expect(evaluate(pipeline, options('later', { resume: true, samples: 30 }))).rejects.toMatchObject({
      code: 'BAD_OPTION',
      expected: 'samples 24, with which this evaluation was begun',
    });
  });

  test('finds the bundle without networks of its own, and takes what the caller says is in the pictures', async () => {
    const { settings: found, classifier } = await evaluate(
      pipeline,
      options('request', {
        settings: undefined,
        classifier: null,
        request: (first, count) => ({ classLabel: Array.from({ length: count }, () => (first < 12 ? 7 : 8)) }),
      }),
    );
    expect(classifier).toBeNull();
    expect(found).toMatchObject([{ name: 'default', recognised: null }]);
  });
});

describe('is refused:', () => {
  const refused = (out: string, more: Partial<EvaluateOptions>) =>
    expect(evaluate(pipeline, options(out, more))).rejects;

  test('a folder with files in it', async () => {
    await refused('.', {}).toMatchObject({ code: 'OUTPUT_EXISTS' });
  });

  test('a folder without an evaluation to resume, and one that is a file', async () => {
    await refused('.', { resume: true }).toMatchObject({ code: 'BAD_OPTION' });
    await refused('reference.safetensors', {}).toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  });

  test('a classifier of other classes', async () => {
    const classifier = pipeline.bundle.path('classifier-features.pt');
    await refused('a', { classifier }).toMatchObject({ code: 'BAD_TENSOR', received: 128, expected: '10 classes' });
  });

  test('a feature network made for another size, and one that is no TorchScript', async () => {
    const file = pipeline.bundle.path('classifier-features.pt');
    await refused('b', { features: { file, size: [32, 32] } }).toMatchObject({ code: 'MODEL_FAILED' });
    await refused('b', { features: at('reference.safetensors') }).toMatchObject({ code: 'MODEL_UNREADABLE' });
    await refused('b', { features: at('nothing.pt') }).toMatchObject({ code: 'BAD_OPTION' });
  });

  test('settings with one name twice, with a bad guidance, and bad options', async () => {
    await refused('c', { settings: [settings[0]!, settings[0]!] }).toMatchObject({ code: 'BAD_OPTION' });
    const guidance = { detail: { layer: 99 } };
    await refused('c', { settings: [{ name: 'x', guidance }] }).toMatchObject({ code: 'LAYER_OUT_OF_RANGE' });
    await refused('c', { settings: [{ name: '../x', guidance: {} }] }).toMatchObject({ code: 'BAD_OPTION' });
    await refused('c', { samples: 1 }).toMatchObject({ code: 'BAD_OPTION' });
    for (const name of ['reference', 'evaluation.json', 'result.json']) {
      await refused('c', { settings: [{ name, guidance: {} }] }).toMatchObject({ code: 'BAD_OPTION', received: name });
    }
    // Nothing was begun.
    expect(readdirSync(folder)).not.toContain('c');
  });

  test('a reference with one picture', async () => {
    const one = { data: new Uint8Array(784), shape: [1, 28, 28, 1], dtype: 'uint8' as const };
    writeFileSync(at('one.safetensors'), encodeSafetensors({ images: one }));
    await refused('d', { reference: at('one.safetensors') }).toMatchObject({ code: 'BAD_OPTION', received: 1 });
  });

  test('a damaged shard', async () => {
    const request = options('damaged', { settings: settings.slice(0, 1) });
    await evaluate(pipeline, request);
    const shard = join(at('damaged'), 'conditional', 'features-00000.safetensors');
    writeFileSync(shard, readFileSync(shard).subarray(0, 1000));
    const resume = () => expect(evaluate(pipeline, { ...request, resume: true })).rejects;
    await resume().toMatchObject({ code: 'BAD_TENSOR' });
    rmSync(shard);
    mkdirSync(shard);
    await resume().toMatchObject({ code: 'BAD_OPTION', message: expect.stringContaining('features-00000') });
    rmSync(at('damaged/conditional'), { recursive: true });
    writeFileSync(at('damaged/conditional'), '');
    await resume().toMatchObject({ code: 'OUTPUT_UNWRITABLE', message: expect.stringContaining('is not a folder') });
  });
});
