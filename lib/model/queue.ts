/** Runs jobs one after the other, in the order in which they came. */
import { AbortError } from '../validation/errors';

import { onAbort } from './abort';

export class Queue {
  private tail: Promise<unknown> = Promise.resolve();
  private jobs = 0;
  private readonly listeners = new Set<() => void>();

  /** Whether a job waits for its turn. */
  get isWaitedFor(): boolean {
    return this.jobs > 0;
  }

  /** How many jobs wait for their turn. */
  get waiting(): number {
    return this.jobs;
  }

  /** Calls `listener` whenever a job comes that has to wait. @returns what ends that */
  onWaiting(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /**
   * Runs `job` when all earlier ones have settled. A job that waits is given up as soon as its signal aborts; one that
   * runs has to look after that itself.
   *
   * @throws ABORT_ERR when the signal aborts before the job begins
   */
  enter<Result>(job: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      let waits = true;
      const leave = () => {
        if (waits) this.jobs--;
        waits = false;
      };
      const giveUp = () => {
        if (waits) reject(new AbortError(signal?.reason));
        leave();
      };
      if (signal?.aborted) return reject(new AbortError(signal.reason));
      const stopListening = onAbort(signal, giveUp);
      this.jobs++;
      const turn = this.tail.then(async () => {
        if (signal?.aborted) throw new AbortError(signal.reason);
        leave();
        return job();
      });
      for (const listener of this.listeners) listener();
      this.tail = turn.catch(() => undefined);
      void turn.then(resolve, reject).finally(stopListening);
    });
  }
}
