/** One call of a pipeline, from its turn to its end. */
import { AbortError } from '../validation/errors';
import type { NativeModel, NativeRun } from '../native';
import type { Transformer } from '../model/transformer';

/** What happens during one call: its native runs, what its callbacks threw, its signal. */
export class RunningCall {
  #thrown: { error: unknown } | null = null;
  #cancel: (() => void) | null = null;

  constructor(
    private readonly transformer: Transformer,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** A callback that is not called again after it threw, or after the call was aborted; what it threw ends the call. */
  guard<Event>(callback: (event: Event) => void): (event: Event) => void {
    return (event) => {
      // Calls that were under way when the run was cancelled may still arrive.
      if (this.#thrown || this.signal?.aborted) return;
      try {
        callback(event);
      } catch (error) {
        this.#thrown = { error };
        this.#cancel?.();
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
    const model = await this.transformer.acquire();
    try {
      this.check();
      const run = start(model);
      const cancel = () => run.cancel();
      this.#cancel = cancel;
      this.signal?.addEventListener('abort', cancel, { once: true });
      try {
        const result = await run.promise;
        this.check();
        return result;
      } finally {
        this.#cancel = null;
        this.signal?.removeEventListener('abort', cancel);
      }
    } finally {
      await this.transformer.release();
    }
  }
}
