/** The server of this package in a process of its own, for pages of the application's own scheme: nothing listens. */
import type { ServerOptions } from '../server/options';

import type { WindowLike } from './electron';
import { Host, type ProcessOptions } from './host';
import { ofMain, type Port } from './port';
import { errorOf } from './problem';
import type { ResponseMessage } from './protocol';
import type { Problem } from './types';

/** What `startServer` takes: what `createServer` does, apart from what only a network needs. */
export interface StartServerOptions
  extends Omit<ServerOptions, 'host' | 'port' | 'token' | 'origins' | 'redis' | 'results'>, ProcessOptions {}

/** A server that runs in a `utilityProcess` and listens nowhere. */
export interface ServerProcess {
  /**
   * Answers a request: what `protocol.handle` takes. The address's scheme and host do not matter, its path does.
   *
   * @throws PROCESS_ENDED
   */
  fetch(request: Request): Promise<Response>;
  /** Shows in a window's task bar how far the server's jobs are. */
  showProgress(window: WindowLike): void;
  /** Calls back with the reason when the process ends without being asked to. */
  onEnd(listener: (problem: { code: string; message: string }) => void): void;
  /** Ends the jobs and the process; after 5 seconds it is ended by force. Again is fine. */
  dispose(): Promise<void>;
}

/**
 * Starts a `utilityProcess` with the server of `detail-guidance/server`, its first bundle loaded. Called in Electron's main
 * process, after `app.whenReady()`.
 *
 * @throws what `createServer` and `loadPipeline` throw; PROCESS_ENDED; BAD_OPTION anywhere but in the main process
 */
export async function startServer(options: StartServerOptions = {}): Promise<ServerProcess> {
  const { libtorch, serviceName, signal, ...server } = options;
  const { host } = await Host.start(
    { start: 'server', options: server },
    {
      ...(libtorch === undefined ? {} : { libtorch }),
      ...(serviceName === undefined ? {} : { serviceName }),
      ...(signal === undefined ? {} : { signal }),
    },
  );
  const windows = new Set<WindowLike>();
  const port = ofMain(
    host.connect((fraction) => {
      for (const window of windows) Host.progressIn(window)(fraction);
    }),
  );
  const requests = new Requests(port);
  host.onEnd((problem) => requests.end(problem));
  return {
    fetch: (request) => requests.fetch(request),
    showProgress(window) {
      windows.add(window);
      window.once('closed', () => windows.delete(window));
    },
    onEnd: (listener) => host.onEnd((problem) => problem.code === 'PROCESS_ENDED' && listener(problem)),
    dispose: () => host.dispose(),
  };
}

type Piece = { [Key in 'head' | 'chunk' | 'end']: Extract<ResponseMessage, Record<Key, unknown>> };

interface Waiting {
  head(head: Piece['head']['head']): void;
  chunk(bytes: Uint8Array): void;
  end(problem: Problem | null): void;
}

/** Requests that are under way over one port. */
class Requests {
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #ended: Problem | null = null;

  constructor(private readonly port: Port) {
    port.onMessage((message) => this.#take(message as ResponseMessage));
  }

  async fetch(request: Request): Promise<Response> {
    // Another site's page may name this scheme; its requests say whose they are.
    const origin = request.headers.get('origin');
    const { protocol, host } = new URL(request.url);
    if (origin !== null && origin !== 'null' && origin !== `${protocol}//${host}`)
      return new Response(null, { status: 403 });
    const body = request.body === null ? null : new Uint8Array(await request.arrayBuffer());
    if (this.#ended) throw errorOf(this.#ended);
    const id = this.#next++;
    const stop = () => {
      if (this.#waiting.delete(id)) this.port.post({ id, stop: true });
    };
    request.signal.addEventListener('abort', stop, { once: true });
    return new Promise((resolve, reject) => {
      let controller: ReadableStreamDefaultController<Uint8Array> | null = null;
      this.#waiting.set(id, {
        head: ({ status, headers }) => {
          const stream = new ReadableStream<Uint8Array>({ start: (own) => void (controller = own), cancel: stop });
          const hasBody = request.method !== 'HEAD' && ![101, 204, 205, 304].includes(status);
          resolve(new Response(hasBody ? stream : null, { status, headers }));
        },
        chunk: (bytes) => controller?.enqueue(bytes),
        end: (problem) => {
          if (problem) reject(errorOf(problem));
          if (problem) controller?.error(errorOf(problem));
          else controller?.close();
        },
      });
      const { method, url } = request;
      this.port.post({ id, request: { method, url, headers: [...request.headers], body } });
    });
  }

  end(problem: Problem): void {
    this.#ended = problem;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { end } of waiting) end(problem);
  }

  #take(message: ResponseMessage): void {
    const waiting = this.#waiting.get(message.id);
    if ('head' in message) waiting?.head(message.head);
    else if ('chunk' in message) waiting?.chunk(message.chunk);
    else {
      this.#waiting.delete(message.id);
      waiting?.end(message.end);
    }
  }
}
