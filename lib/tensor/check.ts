/** Whether a value is the tensor that is wanted. */
import { invalid } from '../validation/invalid';

import { dtypes, elementCount, isShape, type Dtype, type Tensor } from './dtype';
import { toFloat32 } from './half';

export interface TensorExpectation {
  /** What the tensor is called in the message, as the caller knows it: `latents`. */
  name: string;
  /** The dtypes that are fine. Default: any. */
  dtype?: readonly Dtype[];
  /** The shape; null for a size that is free. Default: any. */
  shape?: readonly (number | null)[];
  /** Refuse NaN and infinities. Default false. */
  finite?: boolean;
}

/**
 * Checks that `value` is a tensor `{ data, shape, dtype }` whose parts agree, and that it is the one expected.
 *
 * @throws BAD_TENSOR
 */
export function checkTensor(value: unknown, expectation: TensorExpectation): Tensor {
  const { name, dtype, shape, finite = false } = expectation;
  const refuse = (expected: string, received: unknown, shown?: string): never => {
    throw invalid(name, expected, received, { code: 'BAD_TENSOR', ...(shown === undefined ? {} : { shown }) });
  };
  if (typeof value !== 'object' || value === null || !('data' in value) || !('shape' in value) || !('dtype' in value)) {
    return refuse('a tensor { data, shape, dtype }', value);
  }
  const tensor = value as Tensor;
  if (typeof tensor.dtype !== 'string' || !Object.hasOwn(dtypes, tensor.dtype)) {
    return refuse(`the dtype ${Object.keys(dtypes).join(' or ')}`, tensor.dtype);
  }
  if (!isShape(tensor.shape)) return refuse('a shape of at most 64 whole numbers from 0', tensor.shape);
  const facts = dtypes[tensor.dtype];
  // By name: `instanceof` fails for arrays of another realm (a vm context, a worker of a test runner).
  if (!ArrayBuffer.isView(tensor.data) || tensor.data[Symbol.toStringTag] !== facts.arrayName) {
    return refuse(`a ${facts.arrayName} as the data of ${tensor.dtype}`, tensor.data);
  }
  const count = elementCount(tensor.shape);
  if (tensor.data.length !== count) {
    return refuse(`${count} elements in [${tensor.shape.join(', ')}]`, tensor.data.length);
  }
  if (dtype && !dtype.includes(tensor.dtype)) return refuse(`the dtype ${dtype.join(' or ')}`, tensor.dtype);
  if (shape && !sameShape(tensor.shape, shape)) {
    return refuse(`the shape [${shape.map((size) => size ?? 'any').join(', ')}]`, tensor.shape);
  }
  if (finite) checkFinite(tensor, refuse);
  return tensor;
}

function sameShape(shape: readonly number[], expected: readonly (number | null)[]): boolean {
  return shape.length === expected.length && expected.every((size, axis) => size === null || size === shape[axis]);
}

function checkFinite(tensor: Tensor, refuse: (expected: string, received: unknown, shown: string) => never): void {
  if (!['float64', 'float32', 'float16', 'bfloat16'].includes(tensor.dtype)) return;
  const values = tensor.dtype === 'float64' ? (tensor.data as Float64Array) : toFloat32(tensor);
  const index = values.findIndex((element) => !Number.isFinite(element));
  if (index >= 0) refuse('finite numbers', values[index], `${values[index]} at element ${index}`);
}
