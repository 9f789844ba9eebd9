/** The calling end of a port: what is called, and what becomes of it. Also in preload scripts, so it imports nothing. */
import type { Port } from './port';
import type { Answers, CallName, EventName, ServiceMessage } from './protocol';
import type { Listeners, Outcome, PlainOptions, Problem } from './types';

/** A call that was made. */
export interface Call<Value> {
  /** How it ended; never rejects. */
  outcome: Promise<Outcome<Value>>;
  /** Ends it within one evaluation of the model; its outcome is then ABORT_ERR. */
  stop(): void;
}

interface Pending {
  listeners: Listeners;
  settle(outcome: Outcome<unknown>): void;
}

export class Caller {
  readonly #calls = new Map<number, Pending>();
  #next = 1;
  #ended: Problem | null = null;

  constructor(private readonly port: Port) {
    port.onMessage((message) => this.#take(message as ServiceMessage));
  }

  call<Name extends CallName>(name: Name, options: PlainOptions = {}, listeners: Listeners = {}): Call<Answers[Name]> {
    const { id, call } = this.#begin<Answers[Name]>(listeners);
    const { onStep, onProgress, onWarning } = listeners;
    const listens: EventName[] = [
      ...(onStep ? (['step'] as const) : []),
      ...(onProgress ? (['phase'] as const) : []),
      ...(onWarning ? (['warning'] as const) : []),
    ];
    this.#post(id, { id, call: name, options, listens });
    return call;
  }

  /** A stream, and what asks for its next step; each step is told to `onStep`. */
  stream(options: PlainOptions, listeners: Listeners): Call<Answers['stream']> & { next(): void } {
    const { id, call } = this.#begin<Answers['stream']>(listeners);
    const listens: EventName[] = listeners.onWarning ? ['warning'] : [];
    this.#post(id, { id, call: 'stream', options, listens });
    return { ...call, next: () => this.#post(id, { id, next: true }) };
  }

  /** The other end is gone: what was called and will be called has this outcome. */
  end(problem: Problem): void {
    this.#ended ??= problem;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { settle } of calls) settle({ ok: false, error: problem });
  }

  /** Ends what runs, and the port. */
  close(): void {
    this.port.close();
    this.end({ code: 'DISPOSED', message: 'The connection to the pipeline was closed.' });
  }

  #begin<Value>(listeners: Listeners): { id: number; call: Call<Value> } {
    const id = this.#next++;
    const outcome = new Promise<Outcome<unknown>>((settle) => this.#calls.set(id, { listeners, settle }));
    if (this.#ended) this.end(this.#ended);
    return {
      id,
      call: { outcome: outcome as Promise<Outcome<Value>>, stop: () => this.#post(id, { id, stop: true }) },
    };
  }

  #post(id: number, message: unknown): void {
    if (!this.#calls.has(id)) return;
    try {
      this.port.post(message);
    } catch (error) {
      // What cannot be cloned: a function among the options.
      const { message: reason } = error as Error;
      const expected = 'options that are plain data';
      this.#settle(id, {
        ok: false,
        error: { code: 'BAD_OPTION', message: `options: expected ${expected}, received others (${reason}).`, expected },
      });
    }
  }

  #take(message: ServiceMessage): void {
    if ('outcome' in message) return this.#settle(message.id, message.outcome);
    const { onStep, onProgress, onWarning } = this.#calls.get(message.id)?.listeners ?? {};
    if (message.event === 'step') onStep?.(message.data);
    else if (message.event === 'phase') onProgress?.(message.data);
    else onWarning?.(message.data);
  }

  #settle(id: number, outcome: Outcome<unknown>): void {
    const pending = this.#calls.get(id);
    this.#calls.delete(id);
    pending?.settle(outcome);
  }
}
