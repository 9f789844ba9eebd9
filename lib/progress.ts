/** What `onStep` is told. */
import type { Tensor } from './tensor';

export interface StepEvent {
  /** The step that was just taken, from 1. */
  step: number;
  /** Steps of one image; samplers with two evaluations a step count evaluations. */
  steps: number;
  /** First image of this batch, from 0. */
  image: number;
  /** All images of the call. */
  images: number;
  /** The timestep that the model was given. */
  timestep: number;
  /** How much of the call is done, in (0, 1]. */
  fraction: number;
  /** The current estimate of the data, float32 [images in this batch, channels, height, width]; with `preview: true`. */
  preview?: Tensor;
}
