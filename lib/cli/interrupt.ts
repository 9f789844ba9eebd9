/** Ctrl-C as an AbortSignal: the work unwinds, nothing half-written stays, and the exit code says what happened. */

/** Reason of the signal's abort. Its exit code is the shells' convention, 128 and the signal's number. */
export class Interrupted extends Error {
  override name = 'Interrupted';
  readonly exitCode: number;

  constructor(signal: InterruptSignal) {
    super(`Interrupted by ${signal}; no file was left half-written.`);
    this.exitCode = 128 + signals[signal];
  }
}

/** What ends a command; a terminal that is closed says SIGHUP. Their numbers are the same on every system. */
const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };
type InterruptSignal = keyof typeof signals;

/** Milliseconds in which a second signal is the first one again: npm passes on a Ctrl-C that the terminal sent to all. */
const sameSignal = 500;

/** What works by itself from its start to its end. */
interface Service<Started> {
  start: () => Promise<Started>;
  onStart: (started: Started) => void;
  close: () => Promise<void>;
}

/** Runs a service until the signal aborts, also while it starts, which may take a while: a large model is loaded. */
export async function untilInterrupted<Started>(
  signal: AbortSignal,
  { start, onStart, close }: Service<Started>,
): Promise<void> {
  try {
    const interrupted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([start().then((started) => signal.aborted || onStart(started)), interrupted]);
    await interrupted;
  } finally {
    await close();
  }
}

/**
 * Runs work with a signal that SIGINT, SIGTERM and SIGHUP abort. A second SIGINT or SIGTERM ends the process at once, as if
 * nobody listened, for somebody who does not want to wait for the current model evaluation.
 */
export async function interruptible<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController();
  let first: number | undefined;
  const interrupt = (name: NodeJS.Signals): void => {
    first ??= performance.now();
    controller.abort(new Interrupted(name as InterruptSignal));
    if (name === 'SIGHUP' || performance.now() - first < sameSignal) return;
    stopListening();
    process.kill(process.pid, name);
  };
  const stopListening = () => Object.keys(signals).forEach((name) => process.off(name, interrupt));
  for (const name of Object.keys(signals)) process.on(name, interrupt);
  try {
    return await work(controller.signal);
  } finally {
    stopListening();
  }
}
