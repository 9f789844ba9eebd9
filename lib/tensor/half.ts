/** Conversions between float32 and the two 16-bit floats, which cross as their bits in a Uint16Array. */
import { invalid, show } from '../validation/invalid';

import { elementCount, isShape, type Tensor } from './dtype';

const float32 = new Float32Array(1);
const bits32 = new Uint32Array(float32.buffer);

/** Bits of the bfloat16 nearest to `value`, ties to even, NaN stays NaN. */
export function toBfloat16Bits(value: number): number {
  float32[0] = value;
  const bits = bits32[0]!;
  if (Number.isNaN(value)) return (bits >>> 16) | 0x0040;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The number that the bits of a bfloat16 stand for; exact. */
export function fromBfloat16Bits(bits: number): number {
  bits32[0] = bits << 16;
  return float32[0]!;
}

/** Bits of the IEEE 754 half nearest to `value`, ties to even; above 65504 rounds to infinity as in IEEE. */
export function toFloat16Bits(value: number): number {
  float32[0] = value;
  const bits = bits32[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal half: a whole number of 2^-24. Scaling by a power of two is exact, so only the rounding rounds.
    return sign | roundHalfToEven(Math.abs(float32[0]!) * 2 ** 24);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** The number that the bits of a half stand for; exact. */
export function fromFloat16Bits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Elements as float32: a float32 tensor's own array, float64 rounded. @throws BAD_TENSOR for integers, and what is no tensor */
export function toFloat32(tensor: Tensor): Float32Array {
  const { data, dtype } = (tensor ?? {}) as Partial<Tensor>;
  // Not checkTensor, which needs this. By name: `instanceof` fails for arrays of another realm.
  const holds = (name: string) => ArrayBuffer.isView(data) && data[Symbol.toStringTag] === name;
  if (dtype === 'float32' && holds('Float32Array')) return data as Float32Array;
  if (dtype === 'float64' && holds('Float64Array')) return Float32Array.from(data as Float64Array);
  if (dtype === 'float16' && holds('Uint16Array')) return Float32Array.from(data as Uint16Array, fromFloat16Bits);
  if (dtype === 'bfloat16' && holds('Uint16Array')) return Float32Array.from(data as Uint16Array, fromBfloat16Bits);
  const expected = 'the dtype float32, float64, float16 or bfloat16, and the typed array that holds it';
  throw invalid('The tensor', expected, tensor, {
    code: 'BAD_TENSOR',
    shown: `${show(dtype)} in ${show(data)}`,
  });
}

/** A float32 array as a floating tensor, rounded to nearest, ties to even. @throws BAD_TENSOR for another dtype, or length */
export function fromFloat32(
  data: Float32Array,
  shape: readonly number[],
  dtype: 'float32' | 'float16' | 'bfloat16',
): Tensor {
  const refuse = (expected: string, received: unknown) =>
    invalid('The tensor', expected, received, { code: 'BAD_TENSOR' });
  if (!ArrayBuffer.isView(data) || data[Symbol.toStringTag] !== 'Float32Array') throw refuse('a Float32Array', data);
  if (!isShape(shape) || elementCount(shape) !== data.length) throw refuse(`a shape of ${data.length} elements`, shape);
  if (!['float32', 'float16', 'bfloat16'].includes(dtype))
    throw refuse('the dtype float32, float16 or bfloat16', dtype);
  if (dtype === 'float32') return { data, shape: [...shape], dtype };
  const convert = dtype === 'float16' ? toFloat16Bits : toBfloat16Bits;
  return { data: Uint16Array.from(data, convert), shape: [...shape], dtype };
}

function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
