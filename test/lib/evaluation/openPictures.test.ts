/** Sets of pictures from folders, NumPy files and safetensors, and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { encode } from 'jpeg-js';

import { fingerprintOf, openPictures } from '../../../lib/evaluation/openPictures';
import { shardName, writeShard } from '../../../lib/evaluation/shards';
import { encodePng } from '../../../lib/image/png';
import { encodeSafetensors } from '../../../lib/tensor';

let folder: string;
const at = (...parts: string[]) => join(folder, ...parts);

/** Counts up, from another start for each picture. */
const bytes = (length: number, start = 0) => Uint8Array.from({ length }, (_, index) => (start + index) % 256);

function png(channels: 1 | 3 | 4, start: number, height = 5): Uint8Array {
  const pixels = bytes(height * 4 * channels, start);
  if (channels === 4) for (let place = 3; place < pixels.length; place += 4) pixels[place] = 255;
  return encodePng({ width: 4, height, channels, pixels });
}

/** As numpy.save writes it. */
function npy(descr: string, shape: string, data: Uint8Array, order = 'False'): Uint8Array {
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }`;
  const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + '\n';
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length & 255, header.length >> 8]);
  return Buffer.concat([start, Buffer.from(header, 'latin1'), data]);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pictures-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('a folder', () => {
  test('gives its PNG files by path, subfolders too, grey among coloured ones as colour', async () => {
    mkdirSync(at('mixed', 'b'), { recursive: true });
    writeFileSync(at('mixed', 'a.png'), png(3, 0));
    writeFileSync(at('mixed', 'b', 'grey.PNG'), png(1, 7));
    writeFileSync(at('mixed', 'c.png'), png(4, 9));
    writeFileSync(at('mixed', 'notes.txt'), 'no picture');
    const set = await openPictures(at('mixed'));
    expect(set).toMatchObject({ count: 3, height: 5, width: 4, channels: 3, labels: null });
    const pixels = await set.read(0, 3);
    expect(pixels.slice(0, 60)).toEqual(bytes(60));
    expect([...pixels.slice(60, 66)]).toEqual([7, 7, 7, 8, 8, 8]);
    expect(await set.read(1, 2)).toEqual(pixels.slice(60, 120));
  });

  test('gives pictures by their links; one that leads nowhere is refused by its name', async () => {
    mkdirSync(at('links'));
    writeFileSync(at('elsewhere.png'), png(1, 3));
    symlinkSync(at('elsewhere.png'), at('links', 'a.png'));
    const alone = await fingerprintOf(at('links'));
    symlinkSync(at('links'), at('links', 'circle'));
    symlinkSync(at('nowhere'), at('links', 'notes'));
    expect(await openPictures(at('links'))).toMatchObject({ count: 1, height: 5 });
    expect(await fingerprintOf(at('links'))).toBe(alone);
    symlinkSync(at('nowhere'), at('links', 'b.png'));
    const opening = openPictures(at('links'));
    await expect(opening).rejects.toMatchObject({ code: 'BAD_OPTION', message: expect.stringContaining('b.png') });
  });

  test('gives JPEG files, and refuses one that is cut off', async () => {
    mkdirSync(at('jpeg'));
    const data = new Uint8Array(16 * 16 * 4).fill(120);
    const file = encode({ width: 16, height: 16, data }, 95).data;
    writeFileSync(at('jpeg', 'a.jpg'), file);
    const set = await openPictures(at('jpeg'));
    expect(set).toMatchObject({ count: 1, height: 16, width: 16, channels: 3 });
    for (const value of await set.read(0, 1)) expect(Math.abs(value - 120)).toBeLessThan(3);
    writeFileSync(at('jpeg', 'b.jpeg'), file.subarray(0, file.length - 20));
    await expect((await openPictures(at('jpeg'))).read(0, 2)).rejects.toMatchObject({
      code: 'BAD_TENSOR',
      message: expect.stringMatching(/b\.jpeg.*truncated/) as unknown,
    });
  });

  test('refuses a damaged PNG by its name, and one of another size', async () => {
    mkdirSync(at('bad'));
    writeFileSync(at('bad', 'a.png'), png(3, 0));
    const damaged = Buffer.from(png(3, 1));
    damaged[damaged.length - 20]! ^= 1;
    writeFileSync(at('bad', 'b.png'), damaged);
    writeFileSync(at('bad', 'c.png'), png(3, 0, 6));
    const set = await openPictures(at('bad'));
    await expect(set.read(1, 2)).rejects.toMatchObject({
      code: 'BAD_TENSOR',
      message: expect.stringContaining('b.png') as unknown,
    });
    await expect(set.read(2, 3)).rejects.toMatchObject({ code: 'BAD_TENSOR', received: [6, 4, 3] });
  });

  test('refuses transparency, which has no colour', async () => {
    mkdirSync(at('clear'));
    writeFileSync(at('clear', 'a.png'), encodePng({ width: 1, height: 1, channels: 4, pixels: bytes(4) }));
    await expect(openPictures(at('clear'))).rejects.toMatchObject({
      code: 'BAD_TENSOR',
      message: expect.stringContaining('transparent') as unknown,
    });
  });

  test('without pictures, or not there, or of another kind, is refused', async () => {
    mkdirSync(at('empty'));
    writeFileSync(at('a.gif'), 'GIF89a');
    for (const path of [at('empty'), at('nothing'), at('a.gif')]) {
      await expect(openPictures(path)).rejects.toMatchObject({ code: 'BAD_OPTION', received: path });
    }
  });
});

describe('a NumPy file', () => {
  test('is read in parts', async () => {
    writeFileSync(at('a.npy'), npy('|u1', '3, 5, 4', bytes(60)));
    const set = await openPictures(at('a.npy'));
    expect(set).toMatchObject({ count: 3, height: 5, width: 4, channels: 1 });
    expect(await set.read(1, 3)).toEqual(bytes(40, 20));
    writeFileSync(at('rgb.npy'), npy('|u1', '1, 5, 4, 3', bytes(60)));
    expect(await openPictures(at('rgb.npy'))).toMatchObject({ count: 1, channels: 3 });
  });

  test.each([
    ['floats', npy('<f4', '3, 5, 4', bytes(240)), '<f4'],
    ['Fortran order', npy('|u1', '3, 5, 4', bytes(60), 'True'), 'Fortran'],
    ['two axes', npy('|u1', '5, 4', bytes(20)), '[5, 4]'],
    ['too few bytes', npy('|u1', '3, 5, 4', bytes(59)), 'bytes'],
    ['something else', bytes(300), 'expected a file of numpy.save'],
  ])('with %s is refused', async (name, content, part) => {
    const file = at(`${name}.npy`);
    writeFileSync(file, content);
    await expect(openPictures(file)).rejects.toMatchObject({
      code: 'BAD_TENSOR',
      message: expect.stringContaining(part) as unknown,
    });
  });
});

describe('a safetensors file', () => {
  const images = { data: bytes(60), shape: [3, 5, 4, 1], dtype: 'uint8' as const };

  test('gives pictures and labels', async () => {
    const labels = { data: BigInt64Array.of(2n, 0n, 1n), shape: [3], dtype: 'int64' as const };
    writeFileSync(at('a.safetensors'), encodeSafetensors({ images, labels }));
    const set = await openPictures(at('a.safetensors'));
    expect(set).toMatchObject({ count: 3, channels: 1, labels: Int32Array.of(2, 0, 1) });
    expect(await set.read(2, 3)).toEqual(bytes(20, 40));
  });

  test.each([
    ['no images', { other: images }],
    ['float images', { images: { data: new Float32Array(60), shape: [3, 5, 4, 1], dtype: 'float32' as const } }],
    ['channels first', { images: { ...images, shape: [3, 1, 5, 4] } }],
    ['too few labels', { images, labels: { data: BigInt64Array.of(1n), shape: [1], dtype: 'int64' as const } }],
  ])('with %s is refused', async (name, tensors) => {
    const file = at(`${name}.safetensors`);
    writeFileSync(file, encodeSafetensors(tensors));
    await expect(openPictures(file)).rejects.toMatchObject({ code: 'BAD_TENSOR' });
  });
});

test('shards of samples are one set; the last may be shorter', async () => {
  mkdirSync(at('shards'));
  const sizes = { height: 5, width: 4, channels: 1 as const };
  await writeShard(at('shards', shardName(0)), bytes(60), sizes, [0, 1, 2], 3);
  await writeShard(at('shards', shardName(1)), bytes(40, 60), sizes, [3, 4], 2);
  const set = await openPictures(at('shards'));
  expect(set).toMatchObject({ count: 5, labels: Int32Array.of(0, 1, 2, 3, 4) });
  expect(await set.read(2, 4)).toEqual(bytes(40, 40));
  await writeShard(at('shards', shardName(2)), bytes(60), sizes, null, 3);
  await expect((await openPictures(at('shards'))).read(0, 5)).rejects.toMatchObject({ code: 'BAD_TENSOR' });
});

test('the fingerprint tells sets apart', async () => {
  writeFileSync(at('one.npy'), npy('|u1', '3, 5, 4', bytes(60)));
  writeFileSync(at('other.npy'), npy('|u1', '3, 5, 4', bytes(60, 1)));
  expect(await fingerprintOf(at('one.npy'))).toMatch(/^[0-9a-f]{64}$/);
  expect(await fingerprintOf(at('one.npy'))).not.toBe(await fingerprintOf(at('other.npy')));
  const before = await fingerprintOf(at('mixed'));
  writeFileSync(at('mixed', 'd.png'), png(3, 0));
  expect(await fingerprintOf(at('mixed'))).not.toBe(before);
  await expect(fingerprintOf(at('mixed'), AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORT_ERR' });
});

const onPosix = process.platform === 'win32' ? test.skip : test;

onPosix('nothing is waited for at a pipe', async () => {
  for (const name of ['pipe.npy', 'pipe.safetensors']) {
    execFileSync('mkfifo', [at(name)]);
    const refusal = { code: 'BAD_OPTION', message: expect.stringContaining('a pipe or a device') };
    await expect(openPictures(at(name))).rejects.toMatchObject(refusal);
    await expect(fingerprintOf(at(name))).rejects.toMatchObject(refusal);
  }
});
