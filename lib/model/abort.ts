/** Listening to an AbortSignal that many calls may share. */
import type { NativeRun } from '../native';
import { AbortError } from '../validation/errors';
import { parse } from '../validation/parse';
import { abortSignal } from '../validation/vocabulary';

/** An argument that is a signal, or nothing. @throws BAD_OPTION */
export function checkSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  return parse(abortSignal().optional(), signal, 'signal');
}

/** Who listens to each signal; itself it has one listener, so that a thousand calls that wait warn of no leak. */
const listeners = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `listener` once when the signal aborts; not for one that has aborted already.
 *
 * @returns what ends that
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (!signal || signal.aborted) return () => undefined;
  let all = listeners.get(signal);
  if (!all) {
    const callbacks = new Set<() => void>();
    const callAll = () => {
      listeners.delete(signal);
      for (const callback of callbacks) callback();
    };
    signal.addEventListener('abort', callAll, { once: true });
    listeners.set(signal, (all = callbacks));
  }
  // Its own, also when one function listens twice.
  const own = () => listener();
  all.add(own);
  return () => void all.delete(own);
}

/** The run's result; the run is cancelled when the signal aborts, and settles then. */
export async function finished<Result>(run: NativeRun<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal?.aborted) run.cancel();
  const stopListening = onAbort(signal, () => run.cancel());
  try {
    return await run.promise;
  } finally {
    stopListening();
  }
}

/** A controller that also aborts with any of the signals. `stop` ends that. */
export function abortsWith(signals: readonly (AbortSignal | undefined)[]): {
  controller: AbortController;
  stop(): void;
} {
  const controller = new AbortController();
  const stops = signals.map((signal) => {
    if (signal?.aborted) controller.abort(signal.reason);
    return onAbort(signal, () => controller.abort(signal?.reason));
  });
  return { controller, stop: () => stops.forEach((stop) => stop()) };
}

/**
 * Waits for what a callback of the caller's returned, where that is a promise, until the signal aborts.
 *
 * @throws what it rejects with; ABORT_ERR
 */
export async function waitFor(returned: unknown, signal: AbortSignal | undefined): Promise<void> {
  if (!isPromise(returned)) return;
  let stopListening = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    const giveUp = () => reject(new AbortError(signal?.reason));
    if (signal?.aborted) giveUp();
    stopListening = onAbort(signal, giveUp);
  });
  try {
    await Promise.race([returned, aborted]);
  } finally {
    stopListening();
  }
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
