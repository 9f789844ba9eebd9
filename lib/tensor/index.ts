export { checkTensor, type TensorExpectation } from './check';
export { dtypes, elementCount, isShape, type Dtype, type Tensor, type TensorData } from './dtype';
export { fromBfloat16Bits, fromFloat16Bits, fromFloat32, toBfloat16Bits, toFloat16Bits, toFloat32 } from './half';
export { decodeSafetensors, encodeSafetensors, type Safetensors } from './safetensors';
export type { TensorProgram } from './program';
