/** Records as an async iterator over a run that goes on meanwhile, and waits when they are not read. */
import type { NativeRecords } from '../native';

import { Spill } from './spill';

/** A run that hands out deliveries until it settles. */
export interface RecordedRun<Result> {
  /** Settles when the run has unwound. */
  finished: Promise<Result>;
  /** There is room for one more delivery. */
  release(): void;
  /** Ends the run, also one that waits for its turn; `finished` settles after it. */
  cancel(): void;
  /** Whether other calls of the pipeline wait for this run. */
  isWaitedFor(): boolean;
}

/**
 * Starts the run with the first record that is asked for. Leaving the loop early (`break`, `return()`, an exception)
 * ends the run and waits until it has unwound.
 *
 * Who awaits another call of the pipeline inside the loop reads nothing meanwhile, and that call waits for this run: as
 * long as both is so, what is not read goes to a temporary file, and the run comes to its end.
 *
 * @param start is given what to call with each delivery, and what to call when another call begins to wait
 * @returns what the run arrives at
 * @throws what the run throws; OUTPUT_UNWRITABLE when the temporary file cannot be written
 */
export async function* streamRecords<Record, Result>(
  start: (deliver: (records: NativeRecords) => void, waitedFor: () => void) => RecordedRun<Result>,
  decode: (records: NativeRecords) => Iterable<Record>,
): AsyncGenerator<Record, Result, undefined> {
  const unread = new Unread();
  let wake = (): void => undefined;
  let settled = false;
  let isIdle = false;
  const relieve = () => {
    if (isIdle && !settled && run.isWaitedFor()) unread.spill(run);
  };
  // Later: a loop that goes on at once reads the next record before that.
  const relieveSoon = () => {
    if (!settled && run.isWaitedFor()) setImmediate(relieve);
  };
  const run = start((records) => {
    unread.push(records);
    wake();
    relieveSoon();
  }, relieveSoon);
  const finished = run.finished.finally(() => {
    settled = true;
    wake();
  });
  // It is awaited below; until then a rejection has no other listener.
  finished.catch(() => undefined);
  try {
    for (;;) {
      const delivery = unread.next();
      if (delivery) {
        for (const record of decode(await delivery.take())) {
          isIdle = true;
          relieveSoon();
          yield record;
          isIdle = false;
        }
        unread.leave(run);
      } else if (settled) {
        return await finished;
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
  } finally {
    run.cancel();
    await finished.catch(() => undefined);
    await unread.close();
  }
}

interface Delivery {
  /** The run has been told that there is room for another. */
  isReleased: boolean;
  take(): NativeRecords | Promise<NativeRecords>;
}

/** Deliveries in their order, in memory or on the disk. */
class Unread {
  readonly #deliveries: Delivery[] = [];
  #current: Delivery | null = null;
  /** Those that are not on the disk yet, the newest last. */
  #inMemory: { delivery: Delivery; records: NativeRecords }[] = [];
  #file: Promise<Spill> | null = null;
  #work: Promise<unknown> = Promise.resolve();

  push(records: NativeRecords): void {
    const delivery: Delivery = { isReleased: false, take: () => records };
    this.#deliveries.push(delivery);
    this.#inMemory.push({ delivery, records });
  }

  /** The oldest, which is about to be read. */
  next(): Delivery | null {
    this.#current = this.#deliveries.shift() ?? null;
    this.#inMemory = this.#inMemory.filter(({ delivery }) => delivery !== this.#current);
    return this.#current;
  }

  /** It has been read. */
  leave(run: Pick<RecordedRun<unknown>, 'release'>): void {
    if (this.#current) release(this.#current, run);
    this.#current = null;
  }

  /** Makes room for all that comes; a disk that does not take it ends the run, and is heard of with the next record. */
  spill(run: Pick<RecordedRun<unknown>, 'release' | 'cancel'>): void {
    // Memory then holds one more delivery than the run was promised.
    if (this.#current) release(this.#current, run);
    for (const { delivery, records } of this.#inMemory) {
      const written = this.#write(records, () => release(delivery, run));
      written.catch(() => run.cancel());
      delivery.take = onceWritten(written);
    }
    this.#inMemory = [];
  }

  #write(records: NativeRecords, onWritten: () => void): Promise<() => Promise<NativeRecords>> {
    const written = this.#work.then(async () => {
      const file = await (this.#file ??= Spill.create());
      const read = await file.put(records);
      onWritten();
      return read;
    });
    this.#work = written;
    return written;
  }

  async close(): Promise<void> {
    await this.#work.catch(() => undefined);
    (await this.#file?.catch(() => null))?.close();
  }
}

/** Apart: made where the records are in scope, it would keep them in memory. */
function onceWritten(written: Promise<() => Promise<NativeRecords>>): () => Promise<NativeRecords> {
  return async () => (await written)();
}

function release(delivery: Delivery, run: Pick<RecordedRun<unknown>, 'release'>): void {
  if (!delivery.isReleased) run.release();
  delivery.isReleased = true;
}
