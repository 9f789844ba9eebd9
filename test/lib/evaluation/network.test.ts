/** What a network is given, and what of its answers is refused. A component of JavaScript stands for the TorchScript one. */
import { describe, expect, test } from '@jest/globals';

import { DetailGuidanceError } from '../../../lib/validation/errors';
import { PictureNetwork, prepare, type NetworkRecord } from '../../../lib/evaluation/network';
import type { Tensor } from '../../../lib/tensor';

const record: NetworkRecord = {
  name: 'toy',
  sha256: '0',
  range: [-1, 1],
  size: null,
  channels: null,
  mean: null,
  std: null,
};
const grey = { height: 2, width: 2, channels: 1 as const };

describe('pictures become inputs', () => {
  test('in the range of the network, planes apart', () => {
    const input = prepare(Uint8Array.of(0, 255, 51, 102), grey, record);
    expect(input.shape).toEqual([1, 1, 2, 2]);
    [-1, 1, -0.6, -0.2].forEach((value, place) => expect(input.data[place]).toBeCloseTo(value, 6));
    const rgb = prepare(
      Uint8Array.of(1, 2, 3, 4, 5, 6),
      { height: 1, width: 2, channels: 3 },
      { ...record, range: [0, 255] },
    );
    expect([...(rgb.data as Float32Array)]).toEqual([1, 4, 2, 5, 3, 6]);
  });

  test('grey is repeated, colour becomes its luma, mean and std apply to each channel', () => {
    const three = prepare(Uint8Array.of(0, 255, 0, 0), grey, {
      ...record,
      range: [0, 1],
      channels: 3,
      mean: [0, 0.5, 1],
      std: [1, 0.5, 2],
    });
    expect(three.shape).toEqual([1, 3, 2, 2]);
    expect([three.data[1], three.data[5], three.data[9]]).toEqual([1, 1, 0]);
    const one = prepare(
      Uint8Array.of(255, 0, 0),
      { height: 1, width: 1, channels: 3 },
      { ...record, range: [0, 1], channels: 1 },
    );
    expect(one.data[0]).toBeCloseTo(0.299, 6);
  });

  test('of its size; a flat picture stays flat', () => {
    const input = prepare(new Uint8Array(8).fill(51), grey, { ...record, range: [0, 1], size: [5, 3] });
    expect(input.shape).toEqual([2, 1, 5, 3]);
    for (const value of input.data) expect(value).toBeCloseTo(0.2, 6);
  });
});

describe('answers', () => {
  const answering = (...outputs: Tensor[]) =>
    new PictureNetwork({ run: () => Promise.resolve(outputs), dispose: () => Promise.resolve() }, record);
  const pixels = new Uint8Array(8);
  const floats = (shape: number[], value = 1): Tensor => ({
    data: new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(value),
    shape,
    dtype: 'float32',
  });

  test('[N, width] or [N, width, 1, 1], the first of several', async () => {
    expect(await answering(floats([2, 3])).run(pixels, grey)).toMatchObject({ count: 2, width: 3 });
    expect(await answering(floats([2, 3, 1, 1]), floats([9])).run(pixels, grey)).toMatchObject({ count: 2, width: 3 });
  });

  test.each([
    ['a map', floats([2, 3, 4, 4])],
    ['another number of rows', floats([1, 3])],
    ['one axis', floats([2])],
    ['integers', { data: new Int32Array(6), shape: [2, 3], dtype: 'int32' } satisfies Tensor],
    ['NaN', floats([2, 3], NaN)],
  ])('%s: refused', async (_, output) => {
    await expect(answering(output).run(pixels, grey)).rejects.toMatchObject({
      code: 'BAD_TENSOR',
      message: expect.stringContaining("'toy'") as unknown,
    });
  });

  test('none: refused', async () => {
    await expect(answering().run(pixels, grey)).rejects.toMatchObject({ code: 'BAD_TENSOR', received: 'nothing' });
  });

  test('a network made for another size says what it was given', async () => {
    const failing = new PictureNetwork(
      {
        run: () => Promise.reject(new DetailGuidanceError('MODEL_FAILED', 'mat1 and mat2')),
        dispose: () => Promise.resolve(),
      },
      record,
    );
    await expect(failing.run(pixels, grey)).rejects.toMatchObject({ code: 'MODEL_FAILED', received: [2, 1, 2, 2] });
  });
});
