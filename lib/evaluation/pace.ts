/** Long arithmetic on the main thread that lets others in: timers, signals, a progress bar. */
import { AbortError } from '../validation/errors';

/** How long a stretch of arithmetic keeps the event loop to itself, in milliseconds. */
const stretch = 40;

export class Pace {
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /**
   * To be awaited between pieces of work that are each short.
   *
   * @throws ABORT_ERR
   */
  async breathe(): Promise<void> {
    if (performance.now() - this.#since > stretch) {
      await new Promise((resolve) => setImmediate(resolve));
      this.#since = performance.now();
    }
    if (this.#signal?.aborted) throw new AbortError(this.#signal.reason);
  }
}
