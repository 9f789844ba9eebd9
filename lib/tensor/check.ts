/** Whether a value is the tensor that is wanted. */
import { DetailGuidanceError } from '../validation/errors';

import { dtypes, elementCount, type Dtype, type Tensor } from './dtype';
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
  const refuse = (found: string, expected: string): never => {
    throw new DetailGuidanceError('BAD_TENSOR', `${name} ${found}; ${expected} would be right.`, { found, expected });
  };
  if (typeof value !== 'object' || value === null || !('data' in value) || !('shape' in value) || !('dtype' in value)) {
    return refuse(`is ${value === null ? 'null' : typeof value}, not a tensor`, 'an object { data, shape, dtype }');
  }
  const tensor = value as Tensor;
  if (typeof tensor.dtype !== 'string' || !Object.hasOwn(dtypes, tensor.dtype)) {
    return refuse(`has dtype ${String(tensor.dtype)}`, `one of ${Object.keys(dtypes).join(', ')}`);
  }
  if (!Array.isArray(tensor.shape) || !tensor.shape.every((size) => Number.isInteger(size) && size >= 0)) {
    return refuse(`has shape ${JSON.stringify(tensor.shape)}`, 'an array of whole numbers from 0');
  }
  const facts = dtypes[tensor.dtype];
  // By name: `instanceof` fails for arrays of another realm (a vm context, a worker of a test runner).
  if (!ArrayBuffer.isView(tensor.data) || tensor.data[Symbol.toStringTag] !== facts.arrayName) {
    return refuse(`has the dtype ${tensor.dtype} but its data is not a ${facts.arrayName}`, `a ${facts.arrayName}`);
  }
  const count = elementCount(tensor.shape);
  if (tensor.data.length !== count) {
    return refuse(
      `has ${tensor.data.length} elements but the shape [${tensor.shape.join(', ')}]`,
      `${count} elements, the product of the shape,`,
    );
  }
  if (dtype && !dtype.includes(tensor.dtype)) return refuse(`has the dtype ${tensor.dtype}`, dtype.join(' or '));
  if (shape && !sameShape(tensor.shape, shape)) {
    return refuse(`has the shape [${tensor.shape.join(', ')}]`, `[${shape.map((size) => size ?? 'any').join(', ')}]`);
  }
  if (finite) checkFinite(tensor, refuse);
  return tensor;
}

function sameShape(found: readonly number[], wanted: readonly (number | null)[]): boolean {
  return found.length === wanted.length && wanted.every((size, axis) => size === null || size === found[axis]);
}

function checkFinite(tensor: Tensor, refuse: (found: string, expected: string) => never): void {
  if (!['float64', 'float32', 'float16', 'bfloat16'].includes(tensor.dtype)) return;
  const values = tensor.dtype === 'float64' ? (tensor.data as Float64Array) : toFloat32(tensor);
  const index = values.findIndex((element) => !Number.isFinite(element));
  if (index >= 0) refuse(`has ${values[index]} at element ${index}`, 'a tensor of finite numbers');
}
