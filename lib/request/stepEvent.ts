/** What `onStep` is told. */
import type { NativeProgress } from '../native';
import type { Raster } from '../image/png';

/** What `onStep` is told. */
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
  /** The estimate of each picture of this batch, decoded, with `preview`. A VAE takes as long for it as at the end. */
  preview?: Raster[];
}

/** What `onProgress` is told. A model without text encoders or VAE has no such phase. */
export interface PhaseEvent {
  /** What is going on. */
  phase: 'text' | 'encoding' | 'sampling' | 'decoding';
  /** Text encoders, images, steps of all images, or images that are done. */
  done: number;
  /** Of how many. */
  total: number;
}

/** From what the native side reports of a call that makes so many images in all. */
export function stepEvent(
  { step, steps, image, images, timestep }: NativeProgress,
  { images: all }: { images: number },
): StepEvent {
  const done = image * steps + step * images;
  return { step, steps, image, images: all, timestep, fraction: done / (all * steps) };
}
