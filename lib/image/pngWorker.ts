/** The thread of pngEncoder.ts: a picture comes in, the bytes of its PNG go out. */
import { parentPort } from 'node:worker_threads';

import type { PngPicture } from './png';
import { encodeSized, type Size } from './sizedPng';

parentPort?.on('message', ({ id, picture, size }: { id: number; picture: PngPicture; size: Size }) => {
  try {
    const png = new Uint8Array(encodeSized(picture, size));
    parentPort!.postMessage({ id, png }, [png.buffer]);
  } catch (error) {
    parentPort!.postMessage({ id, error: String(error) });
  }
});
