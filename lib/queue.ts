/** Runs jobs one after the other, in the order in which they came. */
import { AbortError } from './errors';

export class Queue {
  private tail: Promise<unknown> = Promise.resolve();

  /**
   * Runs `job` when all earlier ones have settled. A job that waits is given up as soon as its signal aborts; one that
   * runs has to look after that itself.
   *
   * @throws ABORT_ERR when the signal aborts before the job begins
   */
  enter<Result>(job: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      let begun = false;
      const giveUp = () => {
        if (!begun) reject(new AbortError(signal?.reason));
      };
      if (signal?.aborted) return giveUp();
      signal?.addEventListener('abort', giveUp, { once: true });
      const turn = this.tail.then(async () => {
        if (signal?.aborted) throw new AbortError(signal.reason);
        begun = true;
        return job();
      });
      this.tail = turn.catch(() => undefined);
      void turn.then(resolve, reject).finally(() => signal?.removeEventListener('abort', giveUp));
    });
  }
}
