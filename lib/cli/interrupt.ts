/** Ctrl-C as an AbortSignal: the work unwinds, nothing half-written stays, and the exit code says what happened. */

/** Reason of the signal's abort. Its exit code is the shells' convention, 128 and the signal's number. */
export class Interrupted extends Error {
  override name = 'Interrupted';
  readonly exitCode: number;

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`Interrupted by ${signal}; no file was left half-written.`);
    this.exitCode = signal === 'SIGINT' ? 130 : 143;
  }
}

/**
 * Runs work with a signal that SIGINT and SIGTERM abort. A second one ends the process at once, as if nobody
 * listened, for somebody who does not want to wait for the current model evaluation.
 */
export async function interruptible<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController();
  const interrupt = (signal: 'SIGINT' | 'SIGTERM'): void => controller.abort(new Interrupted(signal));
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}
