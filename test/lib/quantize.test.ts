/** 8 bit weights and activations, as loadPipeline computes with them and as a bundle stores them. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  existsSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import {
  loadPipeline,
  quantizeBundle,
  readMetadata,
  type LoadOptions,
  type Pipeline,
  type QuantizeProgress,
} from '../../lib';
import { reportQuantization } from '../../lib/analysis';
import { psnr } from '../../lib/evaluation/fidelity';
import { withoutInt8 } from '../processor';

const suite = (name: string, tests: () => void) =>
  withoutInt8 === null ? describe(name, tests) : describe.skip(`${name} (skipped: ${withoutInt8})`, tests);

const options = { classLabel: 3, seed: 5, numInferenceSteps: 6 };
const load = (quantize?: LoadOptions['quantize'], location = 'embedded') =>
  loadPipeline(location, { device: 'cpu', ...(quantize === undefined ? {} : { quantize }) });

async function code(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  return promise.then(
    () => ({ code: 'none', message: '' }),
    (error: { code: string; message: string }) => error,
  );
}

async function latentsOf(pipeline: Pipeline, more = {}): Promise<Float32Array> {
  return (await pipeline.generate({ ...options, ...more })).latents.data as Float32Array;
}

function decibels(found: Float32Array, wanted: Float32Array): number {
  const value = (latent: number) => (Math.min(Math.max(latent, -1), 1) + 1) / 2;
  return psnr(wanted.reduce((sum, each, at) => sum + (value(each) - value(found[at]!)) ** 2, 0) / wanted.length);
}

const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-quantize-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

suite('loadPipeline with quantize', () => {
  let plain: Pipeline;
  let quantised: Pipeline;
  beforeAll(async () => {
    [plain, quantised] = [await load(), await load('int8')];
  });
  afterAll(async () => {
    await plain?.dispose();
    await quantised?.dispose();
  });

  test('says which layers, with the bundle’s massive channels, and takes less memory', async () => {
    const { layers, kept, ...how } = quantised.quantized!;
    expect(how).toEqual({ weights: 'int8', activations: 'per-token', product: 'vnni' });
    expect(kept).toEqual([]);
    expect(layers).toHaveLength(4 * quantised.size.blocks);
    expect(layers.every(({ path }) => /^blocks\.\d+\.(attention|mlp)\./.test(path))).toBe(true);
    const massive = quantised.bundle.massiveActivations!.channels;
    const reading = layers.filter(({ channels }) => channels.length > 0);
    expect(reading).toHaveLength(2 * quantised.size.blocks);
    expect(reading.every(({ channels }) => channels.join() === massive.join())).toBe(true);
    expect(plain.quantized).toBeNull();
    expect(quantised.size.parameters).toBe(plain.size.parameters);
    expect(quantised.size.bytes).toBeLessThan(0.6 * plain.size.bytes);
    const { execution, images } = await quantised.generate({ ...options, numInferenceSteps: 2 });
    expect(execution.quantized).toEqual(quantised.quantized);
    expect(readMetadata(images[0]!.toPng()).quantize).toBe('int8');
    expect((await plain.generate({ ...options, numInferenceSteps: 2 })).execution.quantized).toBeNull();
  });

  test('pictures are near those of float32, the same for the same seed, whatever is shared or looked at', async () => {
    const found = await latentsOf(quantised);
    expect(decibels(found, await latentsOf(plain))).toBeGreaterThan(30);
    expect(await latentsOf(quantised)).toEqual(found);
    expect(await latentsOf(quantised, { partialForward: false })).toEqual(found);
    const inputs = {
      sample: {
        data: Float32Array.from({ length: 784 }, (_, at) => Math.sin(at)),
        shape: [1, 1, 28, 28],
        dtype: 'float32' as const,
      },
      timestep: { data: Float32Array.of(0.5), shape: [1], dtype: 'float32' as const },
      class: { data: BigInt64Array.of(3n), shape: [1], dtype: 'int64' as const },
    };
    const hooks = quantised.sites
      .filter(({ tap, path }) => tap === 'output' && path.startsWith('blocks.'))
      .map(({ path }) => ({ path, tap: 'output' as const, capture: true }));
    const { output } = await quantised.forward(inputs);
    expect((await quantised.forward(inputs, { hooks })).output).toEqual(output);
  });

  test('layers that `keep` names stay as they are', async () => {
    await using kept = await load({ keep: ['blocks.0.**', 'blocks.*.mlp.2'] });
    const { layers, kept: named } = kept.quantized!;
    const blocks = kept.size.blocks;
    expect(named).toHaveLength(4 + blocks - 1);
    expect(layers).toHaveLength(3 * (blocks - 1));
    expect(layers.some(({ path }) => path.startsWith('blocks.0.') || path.endsWith('.mlp.2'))).toBe(false);
  });

  test('in bfloat16', async () => {
    await using half = await loadPipeline('embedded', { device: 'cpu', dtype: 'bfloat16', quantize: 'int8' });
    expect(decibels(await latentsOf(half), await latentsOf(plain))).toBeGreaterThan(28);
  });

  test.each([
    [{ keep: ['block.0'] }, 'BAD_OPTION', "'blocks.0.attention"],
    [{ layers: [{ path: 'blocks.0' }] }, 'BAD_OPTION', 'blocks.0.attention'],
    [{ layers: [{ path: 'blocks.0.mlp.0', channels: [9999] }] }, 'CHANNEL_OUT_OF_RANGE', '9999'],
    [{ layers: [{ path: 'blocks.0.mlp.0', smoothing: [1, 2] }] }, 'BAD_OPTION', 'received 2'],
    [{ channels: [9999] }, 'CHANNEL_OUT_OF_RANGE', 'options.quantize.channels'],
    [{ weights: 'fp8', activations: 'none', keep: ['block.0'] }, 'BAD_OPTION', "'blocks.0.attention"],
    ['int4', 'BAD_OPTION', 'options.quantize'],
    [{ activation: 'per-token' }, 'BAD_OPTION', 'options.quantize'],
  ])('refuses %j', async (quantize, wanted, named) => {
    const error = await code(load(quantize as LoadOptions['quantize']));
    expect(error.code).toBe(wanted);
    expect(error.message).toContain(named);
  });
});

describe('quantised on every device', () => {
  let plain: Pipeline;
  beforeAll(async () => {
    plain = await load();
  });
  afterAll(() => plain?.dispose());

  test.each([
    [{ activations: 'none' }, { weights: 'int8', activations: 'none', product: 'dequantised' }, 40],
    [{ weights: 'fp8', activations: 'none' }, { weights: 'fp8', activations: 'none', product: 'dequantised' }, 28],
    ['fp8', { weights: 'fp8', activations: 'per-token', product: 'scaled_mm' }, 28],
  ] as const)('%j', async (quantize, wanted, least) => {
    await using pipeline = await load(quantize as LoadOptions['quantize']);
    const { layers, kept, ...how } = pipeline.quantized!;
    expect(how).toEqual(wanted);
    expect(kept).toEqual([]);
    expect(layers).toHaveLength(4 * pipeline.size.blocks);
    expect(pipeline.size.bytes).toBeLessThan(0.6 * plain.size.bytes);
    const { execution, images, latents } = await pipeline.generate(options);
    expect(execution.quantized).toEqual(pipeline.quantized);
    expect(execution.notFused).toBeNull();
    const told = readMetadata(images[0]!.toPng()).quantize;
    expect(told).toEqual(typeof quantize === 'string' ? quantize : expect.objectContaining(quantize));
    const found = latents.data as Float32Array;
    expect(decibels(found, await latentsOf(plain))).toBeGreaterThan(least);
    expect(await latentsOf(pipeline)).toEqual(found);
    await using half = await loadPipeline('embedded', {
      device: 'cpu',
      dtype: 'bfloat16',
      quantize: quantize as LoadOptions['quantize'],
    });
    expect(decibels(await latentsOf(half), await latentsOf(plain))).toBeGreaterThan(26);
  });

  test('a layer looks the same to hooks, and whatever is shared', async () => {
    await using pipeline = await load({ activations: 'none' });
    const shared = await latentsOf(pipeline);
    const apart = await latentsOf(pipeline, { partialForward: false });
    expect(decibels(apart, shared)).toBeGreaterThan(90);
  });

  test.each(['int8', 'fp8'] as const)('%s that is stored is what it is at load', async (weights) => {
    const quantize = { weights, activations: 'none' } as const;
    const out = join(folder, `${weights}-none`);
    await quantizeBundle('embedded', { out, quantize });
    await using stored = await load(undefined, out);
    await using atLoad = await load(quantize);
    expect(stored.quantized).toEqual(atLoad.quantized);
    expect(stored.size).toEqual(atLoad.size);
    expect(await latentsOf(stored)).toEqual(await latentsOf(atLoad));
    const { transformer } = JSON.parse(readFileSync(join(out, 'bundle.json'), 'utf8')) as { transformer: object };
    expect(transformer).toMatchObject({ quantized: quantize });
  });

  test('how activations are rounded may be another than that of the stored bundle, weights may not', async () => {
    const out = join(folder, 'fp8-none');
    await using tokens = await load({ activations: 'per-token' }, out);
    await using atLoad = await load('fp8');
    expect(tokens.quantized).toEqual(atLoad.quantized);
    expect(await latentsOf(tokens)).toEqual(await latentsOf(atLoad));
    for (const quantize of ['int8', { weights: 'int8' }, { channels: [] }, { keep: ['blocks.0.**'] }] as const) {
      const error = await code(load(quantize as LoadOptions['quantize'], out));
      expect(error.code).toBe('BAD_OPTION');
      expect(error.message).toContain("'fp8'");
    }
  });

  test('a stored bundle whose weights are said to be another kind is not one', async () => {
    const out = join(folder, 'fp8-none');
    const manifest = join(out, 'bundle.json');
    const text = readFileSync(manifest, 'utf8');
    writeFileSync(manifest, text.replace('"weights": "fp8"', '"weights": "int4"'));
    const error = await code(load(undefined, out));
    writeFileSync(manifest, text);
    expect(error.code).toBe('BUNDLE_INVALID');
    expect(error.message).toContain('transformer.quantized.weights');
  });
});

suite('reportQuantization', () => {
  test('judges every way by evaluations, layers and pictures', async () => {
    const names: string[] = [];
    const found = await reportQuantization('embedded', {
      pictures: 2,
      numInferenceSteps: 3,
      times: [0.2, 0.8],
      onProgress: (_done, _total, name) => names.push(name),
    });
    expect(found.ways.map(({ name }) => name)).toEqual(names);
    expect(names).toEqual(expect.arrayContaining(['massive kept', 'SmoothQuant', 'weight-only', 'fp8']));
    expect(found).toMatchObject({ device: 'cpu', leftOut: [] });
    expect(found.others).toHaveLength(found.channels.length);
    expect(found.others.filter((channel) => found.channels.includes(channel))).toEqual([]);
    for (const way of found.ways) {
      expect(way.layers).toHaveLength(8);
      for (const error of [way.output, ...way.layers].flat()) {
        expect(error).toBeGreaterThan(1e-4);
        expect(error).toBeLessThan(0.5);
      }
      expect(way.psnr).toBeGreaterThan(20);
      expect(way.detailCosine).toBeGreaterThan(0.5);
    }
  });

  test('needs channels to keep', async () => {
    expect((await code(reportQuantization('embedded', { channels: [] }))).code).toBe('BAD_OPTION');
  });
});

/** A copy of the embedded bundle, with further files. */
function copyOfEmbedded(name: string, more: Record<string, string> = {}): string {
  const copy = join(folder, name);
  cpSync(join(__dirname, '..', '..', 'models', 'embedded'), copy, { recursive: true });
  const manifest = manifestOf(copy);
  for (const [file, text] of Object.entries(more)) {
    writeFileSync(join(copy, file), text);
    manifest.files[file] = { sha256: createHash('sha256').update(text).digest('hex'), bytes: text.length };
  }
  writeFileSync(join(copy, 'bundle.json'), JSON.stringify(manifest));
  return copy;
}

const manifestOf = (bundle: string) =>
  JSON.parse(readFileSync(join(bundle, 'bundle.json'), 'utf8')) as { files: Record<string, unknown> };
const filesOf = (bundle: string) => Object.keys(manifestOf(bundle).files);

suite('quantizeBundle', () => {
  const out = join(folder, 'int8');

  test('a call that was cut short goes on; the bundle computes what quantising it at load computes', async () => {
    const ended = new AbortController();
    const first: QuantizeProgress[] = [];
    const cut = quantizeBundle('embedded', {
      out,
      signal: ended.signal,
      onProgress: (progress) => {
        first.push(progress);
        ended.abort();
      },
    });
    expect((await code(cut)).code).toBe('ABORT_ERR');
    expect(existsSync(out)).toBe(false);
    const second: QuantizeProgress[] = [];
    expect(await quantizeBundle('embedded', { out, onProgress: (progress) => second.push(progress) })).toBe(out);
    expect(second.filter(({ kept }) => kept).map(({ file }) => file)).toEqual(first.map(({ file }) => file));
    expect(second.at(-1)!.done).toBe(second.length);
    expect(existsSync(`${out}.partial`)).toBe(false);

    await using stored = await load(undefined, out);
    await using atLoad = await load('int8');
    expect(stored.quantized).toEqual(atLoad.quantized);
    expect(stored.size).toEqual(atLoad.size);
    expect(await latentsOf(stored)).toEqual(await latentsOf(atLoad));
    const { transformer, folder: original } = atLoad.bundle;
    expect(statSync(join(out, transformer.file)).size).toBeLessThan(
      0.75 * statSync(join(original, transformer.file)).size,
    );
  });

  test('files that nobody may write to become files that their owner may', async () => {
    const source = copyOfEmbedded('read-only');
    chmodSync(join(source, 'bundle.json'), 0o444);
    for (const name of filesOf(source)) chmodSync(join(source, name), 0o444);
    const written = await quantizeBundle(source, { out: join(folder, 'from-read-only') });
    for (const name of filesOf(written)) expect(statSync(join(written, name)).mode & 0o200).toBe(0o200);
  });

  test('a folder in the place of the partial one stays, unless it is empty', async () => {
    const place = join(folder, 'beside');
    mkdirSync(`${place}.partial`);
    writeFileSync(join(`${place}.partial`, 'thesis.txt'), 'mine');
    expect((await code(quantizeBundle('embedded', { out: place }))).code).toBe('OUTPUT_EXISTS');
    expect(readFileSync(join(`${place}.partial`, 'thesis.txt'), 'utf8')).toBe('mine');
    rmSync(join(`${place}.partial`, 'thesis.txt'));
    expect(await quantizeBundle('embedded', { out: place })).toBe(place);
    expect(existsSync(`${place}.partial`)).toBe(false);
  });

  test('files of any name are copied as they are', async () => {
    const more = Object.fromEntries(
      ['transformer.json', 'quantize.json', 'transformer.pt.tmp', 'transformer.quantized.safetensors'].map((name) => [
        name,
        `{"of":"${name}"}`,
      ]),
    );
    const written = await quantizeBundle(copyOfEmbedded('names', more), { out: join(folder, 'from-names') });
    await using pipeline = await load(undefined, written);
    expect(pipeline.quantized).not.toBeNull();
    for (const [name, text] of Object.entries(more)) expect(readFileSync(join(written, name), 'utf8')).toBe(text);
    expect(readdirSync(written).sort()).toEqual([...new Set([...filesOf(written), 'bundle.json'])].sort());
  });

  test('one call at a time; the lock of a process that is gone holds nobody up', async () => {
    const place = join(folder, 'twice');
    const calls = [undefined, 'fp8' as const].map((quantize) =>
      code(quantizeBundle('embedded', { out: place, quantize })),
    );
    const codes = (await Promise.all(calls)).map(({ code: received }) => received ?? 'none');
    expect(codes.sort()).toEqual(['OUTPUT_EXISTS', 'none'].sort());
    await (await load({ activations: 'none' }, place)).dispose();
    const { pid } = spawnSync(process.execPath, ['--version']);
    const next = join(folder, 'next');
    mkdirSync(`${next}.partial`);
    writeFileSync(join(`${next}.partial`, 'quantize.lock'), `${pid} ${hostname()}`);
    expect(await quantizeBundle('embedded', { out: next })).toBe(next);
  });

  test('what the file system refuses is said with a code', async () => {
    const { code: received, message } = await code(quantizeBundle('embedded', { out: join(folder, 'x'.repeat(250)) }));
    expect(received).toBe('OUTPUT_UNWRITABLE');
    expect(message).toMatch(/^The folder .* cannot be written: the name is too long\.$/);
  });

  test('is not quantised anew, nor over what is there, nor read with a file altered', async () => {
    expect((await code(load({ keep: ['blocks.0.**'] }, out))).code).toBe('BAD_OPTION');
    expect((await code(quantizeBundle(out, { out: join(folder, 'again') }))).code).toBe('BAD_OPTION');
    expect((await code(quantizeBundle('embedded', { out }))).code).toBe('OUTPUT_EXISTS');
    const file = join(out, 'transformer.quantized.safetensors');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    expect((await code(load(undefined, out))).code).toBe('BUNDLE_CHECKSUM');
  });
});
