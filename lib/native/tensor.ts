/** What a tensor is on its way to the addon and back. */

/** Element types of tensors. */
export type Dtype = 'float32' | 'float16' | 'bfloat16' | 'float64' | 'int64' | 'int32' | 'uint8' | 'bool';

/** Row-major values. float16 and bfloat16 travel as the bits of a Uint16Array. */
export interface Tensor {
  /** The values; bool as 0 and 1. */
  data: Float32Array | Uint16Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;
  /** Sizes, the slowest first. */
  shape: number[];
  /** What the values are. */
  dtype: Dtype;
}
