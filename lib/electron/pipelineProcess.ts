/** A pipeline in a process of its own, as the main process and its windows use it. */
import type { LoadOptions } from '../model/loadOptions';
import type { GenerateOptions } from '../request/generateOptions';
import type { StepEvent } from '../request/stepEvent';
import { AbortError } from '../validation/errors';

import { Caller, type Call } from './caller';
import { offerDialogs } from './dialogs';
import type { WindowLike } from './electron';
import { Host, type ProcessOptions } from './host';
import { ofMain } from './port';
import { valueOf } from './problem';
import type { Listeners, PipelineInfo, PlainOptions, ProcessPlan, ProcessResult } from './types';

/** What `startPipeline` takes: what `loadPipeline` does, and how the process is started. */
export interface StartOptions extends LoadOptions, ProcessOptions {
  /** Ends the loading; the call then rejects with an AbortError, and no process is left. */
  signal?: AbortSignal;
}

/** A pipeline that runs in a `utilityProcess`. */
export interface PipelineProcess {
  /** What was loaded. */
  readonly info: PipelineInfo;
  /**
   * As `pipeline.plan`.
   *
   * @throws what `pipeline.plan` throws; PROCESS_ENDED
   */
  plan(options?: PlainOptions): Promise<ProcessPlan>;
  /**
   * As `pipeline.generate`. What a callback returns is not waited for; what it throws, or rejects with, ends the run.
   *
   * @throws what `pipeline.generate` throws; PROCESS_ENDED when the process ends meanwhile
   */
  generate(options?: GenerateOptions): Promise<ProcessResult>;
  /** As `pipeline.stream`: the run waits after each step until the next is asked for; leaving the loop ends it. */
  stream(options?: GenerateOptions): AsyncGenerator<StepEvent, ProcessResult, undefined>;
  /**
   * Gives a window the bridge: its page, with the preload script of `preloadFile()`, calls the pipeline over a port of its
   * own, its task bar shows how far its calls are, and closing or reloading it ends what it has called.
   *
   * @returns what takes it away again from pages that are loaded later
   */
  connect(window: WindowLike): () => void;
  /** Calls back with the reason when the process ends without being asked to: a model that ran out of memory. */
  onEnd(listener: (problem: { code: string; message: string }) => void): void;
  /** Ends what runs, frees the model and ends the process; after 5 seconds it is ended by force. Again is fine. */
  dispose(): Promise<void>;
}

/**
 * Starts a `utilityProcess` that loads a pipeline. Called in Electron's main process, after `app.whenReady()`.
 *
 * @param location folder of a bundle, or `'embedded'`
 * @throws what `loadPipeline` throws; PROCESS_ENDED; BAD_OPTION anywhere but in the main process
 */
export async function startPipeline(location: string, options: StartOptions = {}): Promise<PipelineProcess> {
  const { libtorch, serviceName, signal, ...load } = options;
  const message = { start: 'pipeline', location, options: load } as const;
  const { host, info } = await Host.start(message, {
    ...(libtorch === undefined ? {} : { libtorch }),
    ...(serviceName === undefined ? {} : { serviceName }),
    ...(signal === undefined ? {} : { signal }),
  });
  const caller = new Caller(ofMain(host.connect()));
  host.onEnd((problem) => caller.end(problem));

  const run = async <Value>(
    begin: (options: PlainOptions, listeners: Listeners) => Call<Value>,
    generate: GenerateOptions,
  ): Promise<Value> => {
    const { onStep, onProgress, onWarning, signal: stopped, ...plain } = generate;
    if (stopped?.aborted) throw new AbortError(stopped.reason);
    let failure: { error: unknown } | null = null;
    const fail = (error: unknown) => {
      failure ??= { error };
      call.stop();
    };
    const guard = <Event>(listener: ((event: Event) => unknown) | undefined) =>
      listener &&
      ((event: Event) => {
        if (failure) return;
        try {
          Promise.resolve(listener(event)).catch(fail);
        } catch (error) {
          fail(error);
        }
      });
    const listeners = { onStep: guard(onStep), onProgress: guard(onProgress), onWarning: guard(onWarning) };
    const callbacks = Object.entries(listeners).filter(([, listener]) => listener !== undefined);
    const call = begin(plain, Object.fromEntries(callbacks) as Listeners);
    const stop = () => call.stop();
    stopped?.addEventListener('abort', stop, { once: true });
    try {
      const outcome = await call.outcome;
      if (failure) throw (failure as { error: unknown }).error;
      if (!outcome.ok && outcome.error.code === 'ABORT_ERR') throw new AbortError(stopped?.reason);
      return valueOf(outcome);
    } finally {
      stopped?.removeEventListener('abort', stop);
    }
  };

  return {
    info: info!,
    plan: async (asked = {}) => valueOf(await caller.call('plan', asked).outcome),
    generate: (asked = {}) => run((plain, listeners) => caller.call('generate', plain, listeners), asked),
    stream: (asked = {}) => streamOf(caller, asked),
    connect(window) {
      const takeBack = host.offer(window);
      const takeDialogsBack = offerDialogs(window);
      return () => {
        takeBack();
        takeDialogsBack();
      };
    },
    onEnd: (listener) => host.onEnd((problem) => problem.code === 'PROCESS_ENDED' && listener(problem)),
    dispose: () => host.dispose(),
  };
}

async function* streamOf(
  caller: Caller,
  { onStep, onProgress: _, onWarning, signal, ...plain }: GenerateOptions,
): AsyncGenerator<StepEvent, ProcessResult, undefined> {
  if (signal?.aborted) throw new AbortError(signal.reason);
  let take: (step: StepEvent) => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => (fail = reject));
  failed.catch(() => undefined);
  const call = caller.stream(plain, {
    onStep: (step) => take(step),
    ...(onWarning ? { onWarning: (warning) => void (async () => onWarning(warning))().catch(fail) } : {}),
  });
  const stop = () => call.stop();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for (;;) {
      const step = new Promise<StepEvent>((resolve) => (take = resolve));
      call.next();
      const come = await Promise.race([step.then((value) => ({ value })), call.outcome, failed]);
      if ('ok' in come) return valueOf(come);
      await onStep?.(come.value);
      yield come.value;
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    call.stop();
    await call.outcome;
  }
}
