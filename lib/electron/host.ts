/** The main process's hold on the process that it started. */
import { join } from 'node:path';

import { packageRoot } from '../files/packageRoot';
import { AbortError, DetailGuidanceError } from '../validation/errors';

import { electronMain, type ElectronMain, type UtilityProcessLike, type WindowLike } from './electron';
import type { MainPort } from './port';
import { errorOf } from './problem';
import { channels, type MainMessage, type ProcessMessage, type StartMessage } from './protocol';
import type { PipelineInfo, Problem } from './types';

/** Milliseconds after which a process that was asked to end is ended. */
const patience = 5000;

/** What both kinds of processes are started with. */
export interface ProcessOptions {
  /** Folder of the libtorch to use. Default: `libtorch` among the application's resources, else as docs/libtorch.md says. */
  libtorch?: string;
  /** What the process is called in the system's list of processes. Default `'Detail Guidance'`. */
  serviceName?: string;
  /** Ends the start; it then rejects with an AbortError, and no process is left. */
  signal?: AbortSignal;
}

export class Host {
  readonly #electron: ElectronMain = electronMain();
  readonly #child: UtilityProcessLike;
  readonly #listeners = new Map<number, (fraction: number | null) => void>();
  #callers = 0;
  #problem: Problem | null = null;
  #onEnd: ((problem: Problem) => void)[] = [];
  #disposing: Promise<void> | null = null;
  /** Settles when the process has ended. */
  readonly #ended: Promise<void>;
  #started: (info: PipelineInfo | null) => void = () => undefined;
  #failed: (error: Error) => void = () => undefined;

  private constructor({ libtorch, serviceName = 'Detail Guidance' }: ProcessOptions) {
    // Where this code lies, also inside an archive: the packages that it imports are there.
    const program = join(packageRoot(), 'dist', 'electronProcess.cjs');
    const env = { ...process.env, ...(libtorch === undefined ? {} : { LIBTORCH: libtorch }) };
    this.#child = this.#electron.utilityProcess.fork(program, [], { serviceName, env });
    this.#child.on('message', (message: ProcessMessage) => this.#take(message));
    const kill = () => void this.#child.kill();
    this.#electron.app.once('will-quit', kill);
    this.#ended = new Promise((resolve) =>
      this.#child.on('exit', (code: number) => {
        this.#electron.app.removeListener('will-quit', kill);
        const message = `The process that has the model ended (exit code ${code}); start it again.`;
        this.#problem = this.#disposing
          ? { code: 'DISPOSED', message: 'The process that has the model was ended.' }
          : { code: 'PROCESS_ENDED', message };
        this.#failed(new DetailGuidanceError('PROCESS_ENDED', message, { received: code }));
        for (const told of this.#onEnd.splice(0)) told(this.#problem);
        resolve();
      }),
    );
  }

  /** Starts the process and waits until it has loaded. @throws what loading throws; PROCESS_ENDED, ABORT_ERR */
  static async start(
    message: StartMessage,
    options: ProcessOptions,
  ): Promise<{ host: Host; info: PipelineInfo | null }> {
    const { signal } = options;
    if (signal?.aborted) throw new AbortError(signal.reason);
    const host = new Host(options);
    const abort = () => host.#failed(new AbortError(signal!.reason));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const info = await new Promise<PipelineInfo | null>((resolve, reject) => {
        host.#started = resolve;
        host.#failed = reject;
        host.#post(message);
      });
      return { host, info };
    } catch (error) {
      host.#child.kill();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** A port to the process; `onProgress` is told how far what is called over it has come. */
  connect(onProgress: (fraction: number | null) => void = () => undefined): MainPort {
    const { port1, port2 } = new this.#electron.MessageChannelMain();
    const caller = ++this.#callers;
    this.#listeners.set(caller, onProgress);
    this.#post({ connect: caller }, [port2]);
    return port1;
  }

  /** Calls back when the process ends, or at once if it has. */
  onEnd(listener: (problem: Problem) => void): void {
    if (this.#problem) listener(this.#problem);
    else this.#onEnd.push(listener);
  }

  /** Shows how far the calls of a window are in its task bar. */
  static progressIn(window: WindowLike): (fraction: number | null) => void {
    return (fraction) => {
      if (!window.isDestroyed()) window.setProgressBar(fraction ?? -1);
    };
  }

  /** Gives a window's page a port whenever its preload script asks for one. */
  offer(window: WindowLike): () => void {
    const { webContents } = window;
    const give = ({ senderFrame }: { senderFrame: WindowLike['webContents']['mainFrame'] | null }) => {
      // Frames inside the page get none.
      if (senderFrame === null || senderFrame !== webContents.mainFrame || this.#problem) return;
      senderFrame.postMessage(channels.port, null, [this.connect(Host.progressIn(window))]);
    };
    const stop = () => {
      if (!webContents.isDestroyed()) webContents.ipc.removeListener(channels.connect, give);
    };
    webContents.ipc.on(channels.connect, give);
    this.onEnd((problem) => {
      stop();
      Host.progressIn(window)(null);
      if (!window.isDestroyed()) webContents.send(channels.ended, problem);
    });
    webContents.send(channels.offered);
    return stop;
  }

  /** Ends what runs, frees the model, ends the process. Again is fine. */
  dispose(): Promise<void> {
    if (!this.#disposing) {
      this.#disposing = this.#ended;
      if (!this.#problem) {
        this.#post({ dispose: true });
        const timer = setTimeout(() => this.#child.kill(), patience);
        void this.#ended.then(() => clearTimeout(timer));
      }
    }
    return this.#disposing;
  }

  #post(message: MainMessage, ports: MainPort[] = []): void {
    this.#child.postMessage(message, ports);
  }

  #take(message: ProcessMessage): void {
    if ('started' in message) this.#started(message.started);
    else if ('failed' in message) this.#failed(errorOf(message.failed));
    else this.#listeners.get(message.caller)?.(message.progress);
  }
}
