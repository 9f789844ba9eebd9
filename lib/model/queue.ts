/** Runs jobs one after the other, in the order in which they came. */
import { AbortError } from '../validation/errors';

export class Queue {
  private tail: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private readonly listeners = new Set<() => void>();

  /** Whether a job waits for its turn. */
  get isWaitedFor(): boolean {
    return this.waiting > 0;
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
        if (waits) this.waiting--;
        waits = false;
      };
      const giveUp = () => {
        if (waits) reject(new AbortError(signal?.reason));
        leave();
      };
      if (signal?.aborted) return reject(new AbortError(signal.reason));
      signal?.addEventListener('abort', giveUp, { once: true });
      this.waiting++;
      const turn = this.tail.then(async () => {
        if (signal?.aborted) throw new AbortError(signal.reason);
        leave();
        return job();
      });
      for (const listener of this.listeners) listener();
      this.tail = turn.catch(() => undefined);
      void turn.then(resolve, reject).finally(() => signal?.removeEventListener('abort', giveUp));
    });
  }
}
