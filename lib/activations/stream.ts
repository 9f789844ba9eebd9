/** Records as an async iterator over a run that goes on meanwhile, and waits when they are not read. */
import type { NativeRecords } from '../native';

/** A run that hands out deliveries until it settles. */
export interface RecordedRun<Result> {
  /** Settles when the run has unwound. */
  finished: Promise<Result>;
  /** The oldest delivery has been read. */
  release(): void;
  /** Ends the run, also one that waits for its turn; `finished` settles after it. */
  cancel(): void;
}

/**
 * Starts the run with the first record that is asked for. Leaving the loop early (`break`, `return()`, an exception)
 * ends the run and waits until it has unwound.
 *
 * @param start is given what to call with each delivery
 * @returns what the run arrives at
 */
export async function* streamRecords<Record, Result>(
  start: (deliver: (records: NativeRecords) => void) => RecordedRun<Result>,
  decode: (records: NativeRecords) => Iterable<Record>,
): AsyncGenerator<Record, Result, undefined> {
  const deliveries: NativeRecords[] = [];
  let wake = (): void => undefined;
  let settled = false;
  const run = start((records) => {
    deliveries.push(records);
    wake();
  });
  const finished = run.finished.finally(() => {
    settled = true;
    wake();
  });
  // It is awaited below; until then a rejection has no other listener.
  finished.catch(() => undefined);
  try {
    for (;;) {
      const delivery = deliveries.shift();
      if (delivery) {
        yield* decode(delivery);
        run.release();
      } else if (settled) {
        return await finished;
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
  } finally {
    run.cancel();
    await finished.catch(() => undefined);
  }
}
