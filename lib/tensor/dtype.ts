/** The element types a tensor can have, and the typed array that carries each across. */
import type { Dtype, Tensor } from '../native';

export type { Dtype, Tensor } from '../native';

export type TensorData = Tensor['data'];

interface DtypeFacts {
  /** Bytes of one element. */
  bytes: number;
  /** The typed array that holds it; float16 and bfloat16 travel as their bits in a Uint16Array, bool as 0 and 1. */
  array: new (buffer: ArrayBuffer, offset?: number, length?: number) => TensorData;
  /** The name of the typed array, for messages. */
  arrayName: string;
}

export const dtypes: Readonly<Record<Dtype, DtypeFacts>> = {
  float64: { bytes: 8, array: Float64Array, arrayName: 'Float64Array' },
  float32: { bytes: 4, array: Float32Array, arrayName: 'Float32Array' },
  float16: { bytes: 2, array: Uint16Array, arrayName: 'Uint16Array' },
  bfloat16: { bytes: 2, array: Uint16Array, arrayName: 'Uint16Array' },
  int64: { bytes: 8, array: BigInt64Array, arrayName: 'BigInt64Array' },
  int32: { bytes: 4, array: Int32Array, arrayName: 'Int32Array' },
  uint8: { bytes: 1, array: Uint8Array, arrayName: 'Uint8Array' },
  bool: { bytes: 1, array: Uint8Array, arrayName: 'Uint8Array' },
};

/** Axes of a tensor, as libtorch has them. */
const mostAxes = 64;

/** Whether a value is a shape; for lists of any length, with holes too. */
export function isShape(value: unknown): value is number[] {
  if (!Array.isArray(value) || value.length > mostAxes) return false;
  return Array.from(value).every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** How many elements a shape has; 1 for the empty shape (a scalar). */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
