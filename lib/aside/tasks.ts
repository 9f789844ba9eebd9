/** What is done on another thread: it would hold up the event loop for as long as it takes. */
import { toPixels } from '../image/levels';
import { maskCells, pictureValues } from '../image/input';
import { encodeSized } from '../image/sizedPng';

import { parseWithBytes } from './json';

/** Their arguments and results are plain data, so that they can be sent to the thread. */
export const tasks = {
  /** A picture as PNG, of another size where one is asked for. */
  encodePng: (...picture: Parameters<typeof encodeSized>) => new Uint8Array(encodeSized(...picture)),
  /** The pixels of a picture's values. */
  toPixels,
  /** The values of a picture that is given to start from. */
  pictureValues,
  /** The cells of a mask. */
  maskCells,
  /** A body in JSON, its bytes taken out of it. */
  parseWithBytes,
};

export type Tasks = typeof tasks;
export type TaskName = keyof Tasks;
