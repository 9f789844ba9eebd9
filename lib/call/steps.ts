/** The steps of a call as an async iterator, for a reader that sets the pace. */
import type { Queue } from '../model/queue';
import type { StepEvent } from '../request/stepEvent';

interface Step {
  event: StepEvent;
  /** The reader has dealt with it. */
  read(): void;
}

/**
 * Starts the call with the first step that is asked for. It waits after each step until the next one is asked for, unless
 * another call of the pipeline waits for this one meanwhile, as when it is awaited inside the loop. Leaving the loop ends
 * the call and waits until it has unwound.
 *
 * @param start is given what to call with each step, and the signal that ends the call
 */
export async function* streamSteps<Result>(
  start: (onStep: (event: StepEvent) => Promise<void>, signal: AbortSignal) => Promise<Result>,
  queue: Pick<Queue, 'isWaitedFor' | 'onWaiting'>,
): AsyncGenerator<StepEvent, Result, undefined> {
  const left = new AbortController();
  const steps: Step[] = [];
  let wake = (): void => undefined;
  let settled = false;
  const letOn = () => {
    if (queue.isWaitedFor) for (const step of steps) step.read();
    if (queue.isWaitedFor) present?.read();
  };
  let present: Step | undefined;
  const unsubscribe = queue.onWaiting(letOn);
  const finished = start(
    (event) =>
      new Promise<void>((read) => {
        steps.push({ event, read });
        wake();
        letOn();
      }),
    left.signal,
  ).finally(() => {
    settled = true;
    wake();
  });
  // It is awaited below; until then a rejection has no other listener.
  finished.catch(() => undefined);
  try {
    for (;;) {
      present = steps.shift();
      if (present) {
        yield present.event;
        present.read();
      } else if (settled) {
        return await finished;
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
  } finally {
    unsubscribe();
    left.abort();
    present?.read();
    for (const step of steps) step.read();
    await finished.catch(() => undefined);
  }
}
