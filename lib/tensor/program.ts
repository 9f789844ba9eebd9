/** A loaded program of tensors, as those see it who only run it: an encoder, a decoder. */
import type { Tensor } from './dtype';

export interface TensorProgram {
  /** Tensors in, tensors out, in the order of the program. */
  run(inputs: Tensor[], signal?: AbortSignal): Promise<Tensor[]>;
}
