/** What is done on another thread: it would hold up the event loop for as long as it takes. */
import { encodeApngFrame } from '../image/apng';
import { toPixels } from '../image/levels';
import { maskCells, pictureValues } from '../image/input';
import { encodeSized } from '../image/sizedPng';
import { drawLatents, toVae } from '../image/latents';

import { base64Of, parseWithBytes } from './json';

/** Their arguments and results are plain data, so that they can be sent to the thread. */
export const tasks = {
  /** A picture as PNG, of another size where one is asked for. */
  encodePng: (...picture: Parameters<typeof encodeSized>) => new Uint8Array(encodeSized(...picture)),
  /** A frame of a video as its part of the animated PNG. */
  encodeApngFrame,
  /** The pixels of a picture's values. */
  toPixels,
  /** The values of a picture that is given to start from. */
  pictureValues,
  /** The cells of a mask. */
  maskCells,
  /** Latents as the VAE's decoder takes them. */
  toVae,
  /** Latents from what the VAE's encoder gives. */
  drawLatents,
  /** A body in JSON, its bytes taken out of it. */
  parseWithBytes,
  /** Bytes in base64, its letters as bytes. */
  base64: (bytes: Uint8Array) => new TextEncoder().encode(base64Of(bytes)),
};

export type Tasks = typeof tasks;
export type TaskName = keyof Tasks;
