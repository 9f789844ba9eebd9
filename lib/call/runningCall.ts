/** One call of a pipeline, from its turn to its end. */
import { AbortError } from '../validation/errors';
import type { FusedChains, NativeModel, NativePlan, NativeProgress, NativeRecords, NativeRun } from '../native';
import { finished, isPromise, onAbort } from '../model/abort';
import type { Transformer } from '../model/transformer';

/** A function of the caller's; a promise that it returns is waited for. */
export type Callback<Event> = (event: Event) => unknown;

type Sampling = ReturnType<NativeModel['sample']>;

/**
 * What happens during one call: its native runs, its callbacks, its signal. The one owner of what a callback threw:
 * that cancels what runs, and the call rejects with it.
 */
export class RunningCall {
  /** Chains that ran as one, as the last run found them; null before. */
  fused: readonly FusedChains[] | null = null;
  #thrown: { error: unknown } | null = null;
  readonly #cancels = new Set<() => void>();

  /**
   * @param signal the caller's
   * @param ended aborts when the pipeline is disposed of
   */
  constructor(
    private readonly transformer: Transformer,
    private readonly signal: AbortSignal | undefined,
    private readonly ended: AbortSignal,
  ) {}

  /**
   * A callback that is not called again after it threw, or after the call was given up; what it threw, or what its
   * promise rejected with, ends the call.
   *
   * @returns a promise for the callback's end, or for that of the call when it is given up first; rejects as it does
   */
  guard<Event>(callback: Callback<Event>): (event: Event) => Promise<void> {
    return async (event) => {
      // Calls that were under way when the run was cancelled may still arrive.
      if (this.#thrown || this.#isGivenUp) return;
      try {
        const returned = callback(event);
        if (isPromise(returned)) await this.#unlessGivenUp(returned);
      } catch (error) {
        this.#thrown ??= { error };
        for (const cancel of this.#cancels) cancel();
        throw error;
      }
    };
  }

  /** @throws what a callback threw, ABORT_ERR */
  check(): void {
    if (this.#thrown) throw this.#thrown.error;
    if (this.signal?.aborted) throw new AbortError(this.signal.reason);
  }

  /** Runs something on the transformer, until it is done or the call is given up. */
  async run<Result>(start: (model: NativeModel) => NativeRun<Result>): Promise<Result> {
    const model = await this.transformer.acquire(this.signal);
    try {
      this.check();
      const run = start(model);
      const cancel = () => run.cancel();
      this.#cancels.add(cancel);
      try {
        const result = await finished(run, this.signal);
        this.fused = model.describe().fused;
        this.check();
        return result;
      } finally {
        this.#cancels.delete(cancel);
      }
    } finally {
      await this.transformer.release();
    }
  }

  /**
   * Samples. The run is at most one step ahead of `onStep`, and ends when it has dealt with the last one.
   *
   * @param onStep guarded
   * @param onRecords is told of records, which it has read when it calls `read`
   */
  async sample(
    plan: NativePlan,
    onStep?: (progress: NativeProgress) => Promise<void>,
    onRecords?: (records: NativeRecords, read: () => void) => void,
  ): Promise<Awaited<Sampling['promise']>> {
    let lastStep: Promise<void> | undefined;
    const sampled = await this.run((model) => {
      const run: Sampling = model.sample(
        plan,
        onStep &&
          ((progress) => {
            // What it threw is thrown by check().
            lastStep = onStep(progress).then(
              () => run.stepRead(),
              () => undefined,
            );
          }),
        onRecords && ((records) => onRecords(records, () => run.recordsRead())),
      );
      return run;
    });
    await lastStep;
    this.check();
    return sampled;
  }

  get #isGivenUp(): boolean {
    return this.signal?.aborted === true || this.ended.aborted;
  }

  async #unlessGivenUp(promise: PromiseLike<unknown>): Promise<void> {
    const stops: (() => void)[] = [];
    const givenUp = new Promise<void>((resolve) => {
      for (const signal of [this.signal, this.ended]) stops.push(onAbort(signal, resolve));
    });
    try {
      await Promise.race([promise, givenUp]);
    } finally {
      for (const stop of stops) stop();
    }
  }
}
