/** `detail-guidance/electron/preload`: the bridge that a window's preload script exposes to its page. */
import { contextBridge, ipcRenderer } from 'electron';

import { Caller, type Call } from './caller';
import type { OpenedPicture } from './dialogs';
import { ofPage, type PagePort } from './port';
import { channels } from './protocol';
import type { Listeners, Outcome, PipelineInfo, PlainOptions, Problem, ProcessPlan, ProcessResult } from './types';
import type { StepEvent } from '../request/stepEvent';

/** A run that was started. */
export interface Run {
  /** How it ended; never rejects. */
  outcome: Promise<Outcome<ProcessResult>>;
  /** Ends it within one evaluation of the model; its outcome is then ABORT_ERR. */
  stop(): void;
}

/** A run whose steps the page asks for, one by one. */
export interface SteppedRun {
  /** The next step; `done: true` with the result after the last one. The run waits until it is asked. */
  next(): Promise<Outcome<NextStep>>;
  /** Ends it within one evaluation of the model. */
  stop(): void;
}

/** What a stepped run gives next. */
export type NextStep =
  | {
      /** There are more steps, or the result. */
      done: false;
      /** The step that was made. */
      step: StepEvent;
    }
  | {
      /** This was the last. */
      done: true;
      /** As `generate` gives it. */
      result: ProcessResult;
    };

/** What the page calls: `window.detailGuidance`. Nothing of it rejects; every outcome says what is wrong by its code. */
export interface Bridge {
  /** What was loaded; waits until there is a pipeline. */
  info(): Promise<Outcome<PipelineInfo>>;
  /** As `pipeline.plan`. */
  plan(options?: PlainOptions): Promise<Outcome<ProcessPlan>>;
  /** As `pipeline.generate`. */
  generate(options?: PlainOptions, listeners?: Listeners): Run;
  /** As `pipeline.stream`. */
  stream(options?: PlainOptions): SteppedRun;
  /** The system's dialog to open a picture; null when it was dismissed. */
  openPicture(): Promise<Outcome<OpenedPicture | null>>;
  /** The system's dialog to save a PNG, whole or not at all; the file's path, null when it was dismissed. OUTPUT_UNWRITABLE */
  savePicture(png: Uint8Array, name?: string): Promise<Outcome<string | null>>;
  /** Ends what this page has called, and its connection. */
  dispose(): void;
}

/**
 * Exposes the bridge to the page. Called once in a preload script, sandboxed or not; `connect(window)` in the main process
 * is its other end, and may come later.
 *
 * @param name of the property of `window`
 */
export function exposeBridge(name = 'detailGuidance'): void {
  contextBridge.exposeInMainWorld(name, bridge());
}

function bridge(): Bridge {
  let current: Caller | null = null;
  let ended: Problem | null = null;
  let arrive: (caller: Caller) => void = () => undefined;
  const waiting = new Promise<Caller>((resolve) => (arrive = resolve));
  const take = (caller: Caller) => {
    current = caller;
    ended = null;
    arrive(caller);
  };
  const ask = () => ipcRenderer.send(channels.connect);
  ipcRenderer.on(channels.port, ({ ports }) => take(new Caller(ofPage(ports[0] as PagePort))));
  ipcRenderer.on(channels.offered, () => {
    if (!current || ended) ask();
  });
  ipcRenderer.on(channels.ended, (_event, problem) => {
    ended = problem as Problem;
    current?.end(ended);
  });
  ask();

  const caller = async () => current ?? waiting;
  /** A call that may be begun before there is anything to call. */
  const later = <Value, Extra extends object>(begin: (ready: Caller) => Call<Value> & Extra) => {
    const begun = caller().then(begin);
    return {
      begun,
      outcome: begun.then(({ outcome }) => outcome),
      stop: () => void begun.then(({ stop }) => stop()),
    };
  };

  return {
    info: () => later((ready) => ready.call('info')).outcome,
    plan: (options) => later((ready) => ready.call('plan', options)).outcome,
    generate(options, listeners) {
      const { outcome, stop } = later((ready) => ready.call('generate', options, listeners));
      return { outcome, stop };
    },
    stream(options = {}) {
      let take: (step: StepEvent) => void = () => undefined;
      const run = later((ready) => ready.stream(options, { onStep: (step) => take(step) }));
      return {
        async next() {
          const step = new Promise<StepEvent>((resolve) => (take = resolve));
          (await run.begun).next();
          const come = await Promise.race([step.then((value) => ({ value })), run.outcome]);
          if (!('ok' in come)) return { ok: true, value: { done: false, step: come.value } };
          return come.ok ? { ok: true, value: { done: true, result: come.value } } : come;
        },
        stop: run.stop,
      };
    },
    openPicture: () => ipcRenderer.invoke(channels.open) as Promise<Outcome<OpenedPicture | null>>,
    savePicture: (png, file) => ipcRenderer.invoke(channels.save, png, file) as Promise<Outcome<string | null>>,
    dispose: () => current?.close(),
  };
}
