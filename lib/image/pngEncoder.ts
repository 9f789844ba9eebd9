/** PNG encoding on a thread of its own: compressing a large picture would hold up the event loop for a second. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { packageRoot } from '../files/packageRoot';

import type { PngPicture } from './png';
import { encodeSized, type Size } from './sizedPng';

interface Answer {
  id: number;
  png?: Uint8Array;
  error?: string;
}

/** Bytes of pixels that are encoded sooner than sent to a thread. */
const smallPicture = 20_000;
/** Milliseconds after which a thread without work ends. */
const idleTime = 2000;

/** Where the build puts pngWorker.ts. Run from the sources without a build, pictures are encoded on this thread. */
const workerFile = () => join(packageRoot(), 'dist', 'pngWorker.cjs');

let thread: EncoderThread | null = null;

/**
 * What `encodePng` gives, made on another thread where the picture is large.
 *
 * @throws what `encodePng` throws
 */
export function encodePngAside(picture: PngPicture): Promise<Uint8Array> {
  return encodeSizedAside(picture, picture);
}

/** The same of a picture that is resized on that thread before. */
export async function encodeSizedAside(picture: PngPicture, { width, height }: Size): Promise<Uint8Array> {
  if (picture.pixels.length < smallPicture || !existsSync(workerFile())) return encodeSized(picture, { width, height });
  thread ??= new EncoderThread(() => (thread = null));
  return thread.encode(picture, { width, height });
}

class EncoderThread {
  readonly #worker = new Worker(workerFile());
  readonly #waiting = new Map<number, { resolve: (png: Uint8Array) => void; reject: (error: unknown) => void }>();
  #next = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(private readonly onEnd: () => void) {
    this.#worker.on('message', (answer: Answer) => this.#take(answer));
    this.#worker.on('error', (error) => this.#end(error));
    this.#worker.on('exit', () => this.#end(new Error('The thread that encodes PNG ended.')));
  }

  encode(picture: PngPicture, size: Size): Promise<Uint8Array> {
    clearTimeout(this.#idle);
    // It keeps the process alive while it has work, and no longer.
    this.#worker.ref();
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, picture, size });
    });
  }

  #take({ id, png, error }: Answer): void {
    const { resolve, reject } = this.#waiting.get(id)!;
    this.#waiting.delete(id);
    if (png) resolve(png);
    else reject(new Error(error));
    if (this.#waiting.size > 0) return;
    this.#worker.unref();
    this.#idle = setTimeout(() => void this.#worker.terminate(), idleTime).unref();
  }

  #end(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.onEnd();
  }
}
