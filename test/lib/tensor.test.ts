import { describe, expect, test } from '@jest/globals';

import {
  checkTensor,
  decodeSafetensors,
  encodeSafetensors,
  fromBfloat16Bits,
  fromFloat16Bits,
  fromFloat32,
  toBfloat16Bits,
  toFloat16Bits,
  toFloat32,
  type Tensor,
} from '../../lib/tensor';

const tensor = (data: number[], shape: number[]): Tensor => ({
  data: Float32Array.from(data),
  shape,
  dtype: 'float32',
});
const badTensor = expect.objectContaining({ code: 'BAD_TENSOR' });
const thrown = (action: () => unknown): unknown => {
  try {
    action();
  } catch (error) {
    return error;
  }
  return null;
};

test.each([
  ['with holes', new Array<number>(2)],
  ['of billions of sizes', new Array<number>(2 ** 32 - 1)],
  ['of more axes than libtorch has', new Array<number>(65).fill(1)],
  ['of no whole numbers', [0.5, 2]],
])('a shape %s is BAD_TENSOR', (_what, shape) => {
  const expected = expect.objectContaining({ code: 'BAD_TENSOR' });
  expect(() => fromFloat32(new Float32Array(1), shape, 'float32')).toThrow(expected);
  const value = { data: new Float32Array(1), shape, dtype: 'float32' };
  expect(() => checkTensor(value, { name: 'latents' })).toThrow(expected);
});

describe('16-bit floats', () => {
  test('every half survives the way to float32 and back', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromFloat16Bits(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(fromFloat16Bits(toFloat16Bits(value)))).toBe(true);
      else if (toFloat16Bits(value) !== bits) throw new Error(`0x${bits.toString(16)} came back changed`);
    }
  });

  test('every bfloat16 survives the way to float32 and back', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromBfloat16Bits(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(fromBfloat16Bits(toBfloat16Bits(value)))).toBe(true);
      else if (toBfloat16Bits(value) !== bits) throw new Error(`0x${bits.toString(16)} came back changed`);
    }
  });

  test('rounding is to nearest, ties to even', () => {
    expect(fromFloat16Bits(toFloat16Bits(1 + 1 / 2048))).toBe(1);
    expect(fromFloat16Bits(toFloat16Bits(1 + 3 / 2048))).toBe(1 + 2 / 1024);
    expect(fromFloat16Bits(toFloat16Bits(1.5 * 2 ** -24))).toBe(2 ** -23);
    expect(fromFloat16Bits(toFloat16Bits(65519))).toBe(65504);
    expect(fromFloat16Bits(toFloat16Bits(65520))).toBe(Infinity);
    expect(fromBfloat16Bits(toBfloat16Bits(1 + 1 / 256))).toBe(1);
    expect(fromBfloat16Bits(toBfloat16Bits(1 + 3 / 256))).toBe(1 + 2 / 128);
  });

  test('tensors convert both ways', () => {
    const values = Float32Array.from([0, -1.5, 0.25, 1000]);
    for (const dtype of ['float16', 'bfloat16'] as const) {
      expect(Array.from(toFloat32(fromFloat32(values, [2, 2], dtype)))).toEqual(Array.from(values));
    }
    expect(() => toFloat32({ data: Int32Array.of(1), shape: [1], dtype: 'int32' })).toThrow(
      /expected the dtype float32, .*, received 'int32'/,
    );
  });
});

describe('checkTensor', () => {
  test.each([
    ['not a tensor', null],
    ['no dtype', { data: new Float32Array(1), shape: [1] }],
    ['an unknown dtype', { data: new Float32Array(1), shape: [1], dtype: 'float8' }],
    ['a negative size', { data: new Float32Array(1), shape: [-1], dtype: 'float32' }],
    ['another typed array', { data: new Float64Array(1), shape: [1], dtype: 'float32' }],
    ['too few elements', { data: new Float32Array(3), shape: [2, 2], dtype: 'float32' }],
    ['another shape', tensor([1, 2], [1, 2])],
    ['NaN', tensor([1, NaN], [2])],
  ])('refuses %s', (_name, value) => {
    expect(thrown(() => checkTensor(value, { name: 'options.latents', shape: [2], finite: true }))).toEqual(badTensor);
  });

  test('takes what is expected, with free sizes', () => {
    const value = tensor([1, 2], [1, 2]);
    expect(checkTensor(value, { name: 'x', shape: [null, 2], dtype: ['float32'], finite: true })).toBe(value);
  });
});

describe('safetensors', () => {
  const tensors: Record<string, Tensor> = {
    a: tensor([1, 2, 3, 4], [2, 2]),
    'b.half': fromFloat32(Float32Array.from([0.5, -2]), [2], 'float16'),
    c: { data: BigInt64Array.of(7n, -1n), shape: [2], dtype: 'int64' },
    flags: { data: Uint8Array.of(1, 0, 1), shape: [3], dtype: 'bool' },
    none: tensor([], [0, 3]),
  };

  test('what is written is read', () => {
    const { tensors: read, metadata } = decodeSafetensors(encodeSafetensors(tensors, { made: 'here' }));
    expect({ ...read }).toEqual(tensors);
    expect(metadata).toEqual({ made: 'here' });
  });

  const whole = encodeSafetensors(tensors);
  const withHeader = (header: string, data = new Uint8Array(8)): Uint8Array => {
    const text = new TextEncoder().encode(header);
    const file = new Uint8Array(8 + text.length + data.length);
    new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
    file.set(text, 8);
    file.set(data, 8 + text.length);
    return file;
  };
  const entry = (fields: object) =>
    withHeader(JSON.stringify({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...fields } }));

  test.each([
    ['an empty file', new Uint8Array(0)],
    ['nothing', undefined as never],
    ['bytes of another kind', new Float32Array(16) as never],
    ['a file cut in its header', whole.slice(0, 40)],
    ['a file cut in its data', whole.slice(0, -1)],
    ['bytes after the last tensor', Uint8Array.from([...whole, 0])],
    ['a header of 2^63 bytes', Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 128, 0])],
    ['a header that is not JSON', withHeader('{"a": ')],
    ['a header that is a list', withHeader('[]')],
    ['an unknown dtype', entry({ dtype: 'F8' })],
    ['a negative size', entry({ shape: [-2] })],
    ['offsets in the wrong order', entry({ data_offsets: [8, 0] })],
    ['offsets beyond the file', entry({ shape: [4], data_offsets: [0, 16] })],
    ['a shape that does not fit', entry({ shape: [3] })],
    ['a gap', entry({ shape: [1], data_offsets: [4, 8] })],
    ['metadata that is not text', withHeader(JSON.stringify({ __metadata__: { a: 1 } }), new Uint8Array(0))],
  ])('refuses %s', (_name, bytes) => {
    expect(thrown(() => decodeSafetensors(bytes))).toEqual(badTensor);
  });

  test('a tensor called __proto__ is a tensor', () => {
    const file = withHeader('{"__proto__":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}');
    const { tensors } = decodeSafetensors(file);
    expect(Object.keys(tensors)).toEqual(['__proto__']);
    expect(decodeSafetensors(encodeSafetensors(tensors)).tensors).toEqual(tensors);
  });

  test('what is no tensor, no text, or in the wrong array is refused by code', () => {
    expect(thrown(() => encodeSafetensors(null as never))).toMatchObject({ code: 'BAD_OPTION' });
    expect(thrown(() => encodeSafetensors({}, { a: 1n } as never))).toMatchObject({ code: 'BAD_OPTION' });
    for (const dtype of ['float32', 'float64', 'float16', 'bfloat16', 'int64'] as const) {
      expect(thrown(() => toFloat32({ data: new BigInt64Array(2), shape: [2], dtype }))).toEqual(badTensor);
    }
    expect(thrown(() => toFloat32(null as never))).toEqual(badTensor);
  });

  test("a tensor has another name than the format's own", () => {
    expect(thrown(() => encodeSafetensors({ __metadata__: tensor([1], [1]) }))).toMatchObject({ code: 'BAD_OPTION' });
  });
});
