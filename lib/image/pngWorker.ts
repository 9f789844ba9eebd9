/** The thread of pngEncoder.ts: a picture comes in, the bytes of its PNG go out. */
import { parentPort } from 'node:worker_threads';

import { encodePng, type PngPicture } from './png';

parentPort?.on('message', ({ id, picture }: { id: number; picture: PngPicture }) => {
  try {
    const png = new Uint8Array(encodePng(picture));
    parentPort!.postMessage({ id, png }, [png.buffer]);
  } catch (error) {
    parentPort!.postMessage({ id, error: String(error) });
  }
});
