/** PNG encoding on a thread of its own: compressing a large picture would hold up the event loop for a second. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { packageRoot } from '../files/packageRoot';
import { encodePng, type PngPicture } from '../image/png';

interface Answer {
  id: number;
  png?: Uint8Array;
  error?: string;
}

/** Where the build puts pngWorker.ts. */
const workerFile = () => join(packageRoot(), 'dist', 'pngWorker.cjs');

export class PngEncoder {
  #worker: Worker | null = null;
  readonly #waiting = new Map<number, { resolve: (png: Uint8Array) => void; reject: (error: unknown) => void }>();
  #next = 0;

  /** The same bytes as `encodePng`. The pixels stay the caller's. */
  encode(picture: PngPicture): Promise<Uint8Array> {
    // Small ones are done sooner than sent.
    const isSmall = picture.pixels.length < 20_000;
    if (isSmall || !existsSync(workerFile())) return Promise.resolve(encodePng(picture));
    const worker = (this.#worker ??= this.#start());
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, picture });
    });
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
    this.#worker = null;
  }

  #start(): Worker {
    const worker = new Worker(workerFile());
    worker.unref();
    worker.on('message', ({ id, png, error }: Answer) => {
      const { resolve, reject } = this.#waiting.get(id)!;
      this.#waiting.delete(id);
      if (png) resolve(png);
      else reject(new Error(error));
    });
    const fail = (error: unknown) => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      this.#worker = null;
    };
    worker.on('error', fail);
    worker.on('exit', () => fail(new Error('The thread that encodes PNG ended.')));
    return worker;
  }
}
