import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { decodePng } from '../../../lib/image/png';
import { readMetadata } from '../../../lib/call/metadata';
import { encodeSafetensors } from '../../../lib/tensor';

import { run } from './run';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Without the thousands of lines that toEqual prints for two files that differ. */
async function sameBytes(...names: [string, string]): Promise<boolean> {
  const [one, other] = await Promise.all(names.map((name) => readFile(join(folder, name))));
  return one!.equals(other!);
}

describe('generate', () => {
  const base = ['generate', 'embedded', '--device', 'cpu', '--steps', '2', '--class', 'Sneaker'];

  test('writes a picture that says how it was made, and prints its path', async () => {
    const { code, stdout, stderr } = await run([...base, '--seed', '5', '--out', 'a.png'], { cwd: folder });
    expect(stderr).toMatch(/^(\d+\/2 steps, .*\n)+$/);
    expect(code).toBe(0);
    expect(stdout).toBe(`${join(folder, 'a.png')}\n`);
    expect(await readdir(folder)).toEqual(['a.png']);
    const png = await readFile(join(folder, 'a.png'));
    expect(decodePng(png)).toMatchObject({ width: 28, height: 28, channels: 1 });
    expect(readMetadata(png)).toMatchObject({ seed: 5, class: 7, options: { numInferenceSteps: 2 } });
  });

  test('gives picture k of several the bytes of its own seed, and one JSON document', async () => {
    const several = await run([...base, '--seed', '5', '-n', '2', '--out', join(folder, 'b.png'), '--json']);
    const report = JSON.parse(several.stdout) as { images: { file: string; seed: number }[] };
    expect(report.images.map(({ file, seed }) => [file, seed])).toEqual([
      [join(folder, 'b-0.png'), 5],
      [join(folder, 'b-1.png'), 6],
    ]);
    await run([...base, '--seed', '6', '--out', join(folder, 'alone.png')]);
    expect(await sameBytes('b-1.png', 'alone.png')).toBe(true);
  });

  test('takes seeds of 64 bits exactly, as the API does', async () => {
    const seed = 2n ** 64n - 1n;
    const { code, stdout } = await run([
      ...[...base, '--seed', String(seed), '-n', '2', '--json'],
      ...['--out', join(folder, 'large.png')],
    ]);
    expect(code).toBe(0);
    const { images } = JSON.parse(stdout) as { images: { file: string; seed: unknown }[] };
    expect(images.map((image) => image.seed)).toEqual([String(seed), 0]);
    expect(readMetadata(await readFile(images[0]!.file))).toMatchObject({ seed });
    const beyond = await run([...base, '--seed', String(seed + 1n), '--out', join(folder, 'none.png')]);
    expect(beyond.code).toBe(1);
    expect(beyond.stderr).toMatch(
      /^BAD_OPTION: --seed: expected a whole number from 0 to 18446744073709551615, received '18446744073709551616'/,
    );
  });

  test('--explain says what would be computed, and computes nothing', async () => {
    const { code, stdout, stderr } = await run([
      ...base,
      '--preset',
      'detail+cfg',
      '--explain',
      '--out',
      join(folder, 'x.png'),
    ]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^1 image, 2 steps of flow-match-euler/);
    expect(stdout).toMatch(/detail-deficient .*the rest shared/);
    expect(await readdir(folder)).toEqual([]);
  });

  test('takes latents from a safetensors file', async () => {
    const data = Float32Array.from({ length: 784 }, (_, index) => Math.sin(index * 12.9898) * 1.4);
    const file = join(folder, 'noise.safetensors');
    await writeFile(file, encodeSafetensors({ latents: { data, shape: [1, 1, 28, 28], dtype: 'float32' } }));
    const { code, stderr } = await run([...base, '--latents', file, '--out', join(folder, 'c.png')]);
    expect([code, stderr.includes(':')]).toEqual([0, true]);
    expect(readMetadata(await readFile(join(folder, 'c.png'))).options.latents).toMatchObject({
      shape: [1, 1, 28, 28],
      data,
    });
  });

  test.each([
    ['a class that does not exist', ['--class', 'Sneakers'], /^CLASS_OUT_OF_RANGE: .*Sneaker/m],
    ['a layer that does not exist', ['--detail-layer', '99'], /^LAYER_OUT_OF_RANGE: /m],
    ['a channel that does not exist', ['--detail-channels', '100000'], /^CHANNEL_OUT_OF_RANGE: /m],
    ['a scale out of range', ['--cfg-scale', '-3'], /^BAD_OPTION: .*scale: expected .*, received -3/m],
  ])('%s leaves no file', async (_, args, message) => {
    const { code, stdout, stderr } = await run([...base, ...args, '--out', join(folder, 'd.png')]);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([1, '']);
    expect(await readdir(folder)).toEqual([]);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s in the middle ends with %i, soon, and without a file',
    async (signal, expected) => {
      let sent = 0;
      const args = ['generate', 'embedded', '--device', 'cpu', '--class', '0', '--steps', '1000', '--out', 'e.png'];
      const { code, stdout, stderr } = await run(args, {
        cwd: folder,
        whileRunning: (child) => {
          if (sent === 0) child.kill(signal);
          sent ||= performance.now();
        },
      });
      expect(performance.now() - sent).toBeLessThan(10_000);
      expect(stderr).toMatch(/^ABORT_ERR: Interrupted by SIG/m);
      expect([code, stdout]).toEqual([expected, '']);
      expect(await readdir(folder)).toEqual([]);
    },
    180_000,
  );
});

describe('demo', () => {
  test('draws the sheet, the same one each time', async () => {
    const args = ['demo', '--device', 'cpu', '--steps', '2', '--images-per-class', '1', '--json', '--out'];
    const first = await run([...args, join(folder, 'first.png')]);
    expect(first.code).toBe(0);
    const report = JSON.parse(first.stdout) as {
      width: number;
      height: number;
      columns: { title: string }[];
      rows: unknown[];
    };
    expect(report.columns.map(({ title }) => title)).toEqual([
      'conditional',
      'MA-disrupted',
      'Detail Guidance',
      'CFG',
      'CFG + DG',
    ]);
    expect(report.rows).toHaveLength(10);
    const png = await readFile(join(folder, 'first.png'));
    const { width, height, channels, text } = decodePng(png);
    expect([width, height, channels]).toEqual([report.width, report.height, 3]);
    expect(JSON.parse(text['detail-guidance-sheet']!)).toMatchObject({ numInferenceSteps: 2, device: 'cpu' });
    expect(first.stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(12);
    await run([...args, join(folder, 'second.png')]);
    expect(await sameBytes('first.png', 'second.png')).toBe(true);
  }, 180_000);
});

describe('inspect', () => {
  test('knows the sites with their shapes, for programs and for people', async () => {
    const { code, stdout } = await run(['inspect', 'embedded', '--device', 'cpu', '--json']);
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as {
      layers: number;
      parameters: number;
      sites: { block: number | null; shape: number[] | null }[];
    };
    const { layers, parameters, sites } = report;
    expect(parameters).toBeGreaterThan(1e6);
    const blocks = Array.from({ length: layers }, (_, layer) => sites.find(({ block }) => block === layer));
    for (const block of blocks) expect(block).toMatchObject({ tap: 'output', stream: 'image', shape: [1, 49, 128] });
    const words = await run(['inspect', 'embedded', '--device', 'cpu']);
    expect(words.stdout).toMatch(/^blocks\.0 +output +image +0 +\[1, 49, 128\]/m);
    expect(words.stdout).toMatch(/^blocks\.0 +input +- +1 /m);
    const number = '[\\d,]+';
    expect(words.stdout).toMatch(
      new RegExp(`^bfloat16, int8 or fp8, --offload blocks +${number} +0 +0 +${number} +${number} +${number}`, 'm'),
    );
  });

  test('and the memory of every way to load it', async () => {
    const { stdout } = await run(['inspect', 'embedded', '--device', 'cpu', '--offload', 'blocks', '--json']);
    const { memory, bytes } = JSON.parse(stdout) as {
      bytes: number;
      memory: {
        activations: Record<string, number>;
        expected: (Record<'transformer' | 'activations' | 'host' | 'total', number> &
          Record<'dtype' | 'quantize' | 'offload', string | null>)[];
      };
    };
    expect(memory.expected).toHaveLength(3 * 3 * 2);
    const of = (dtype: string, quantize: string | null, offload: string | null) =>
      memory.expected.find((way) => way.dtype === dtype && way.quantize === quantize && way.offload === offload)!;
    const plain = of('float32', null, null);
    expect(plain).toMatchObject({ transformer: bytes, textEncoders: 0, vae: 0, host: 0 });
    expect(plain.activations).toBe(memory.activations['detail+cfg']);
    expect(of('float16', null, null).transformer).toBeCloseTo(bytes / 2, -1);
    expect(of('float32', 'int8', null).transformer).toBeLessThan(0.6 * plain.transformer);
    const waiting = of('float32', null, 'blocks');
    expect(waiting.total).toBe(waiting.transformer + waiting.activations);
    expect(waiting.transformer + waiting.host).toBeGreaterThan(plain.transformer);
    expect(waiting.transformer).toBeLessThan(plain.transformer / 2);
  });
});
