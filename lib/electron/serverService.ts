/** The answering end of the port for requests: the server of this package, without a network. */
import type { Server } from '../server';

import type { Port } from './port';
import { problemOf } from './problem';
import type { RequestMessage, ResponseMessage } from './protocol';

/**
 * Answers requests until the port is closed.
 *
 * @param onProgress how far the last job that told something is, from 0 to 1; null when none runs
 */
export function answerRequests(port: Port, server: Server, onProgress: (fraction: number | null) => void): void {
  const running = new Map<number, AbortController>();
  const jobs = new JobProgress(server, onProgress);

  const answer = async (message: RequestMessage): Promise<void> => {
    const { id } = message;
    if ('stop' in message) return running.get(id)?.abort();
    const abort = new AbortController();
    running.set(id, abort);
    const say = (reply: ResponseMessage) => port.post(reply);
    try {
      const { method, url, headers, body } = message.request;
      const request = new Request(ownAddress(url), {
        method,
        headers: [...headers.filter(([name]) => name !== 'host' && name !== 'origin'), ['host', 'localhost']],
        ...(body === null ? {} : { body: new Uint8Array(body) }),
        signal: abort.signal,
      });
      const response = await server.fetch(request);
      jobs.watch(response);
      say({ id, head: { status: response.status, headers: [...response.headers] } });
      const reader = response.body?.getReader();
      // Whoever asked may be gone while a stream of events goes on.
      abort.signal.addEventListener('abort', () => void reader?.cancel().catch(() => undefined));
      for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) {
        say({ id, chunk: piece.value });
      }
      say({ id, end: null });
    } catch (error) {
      say({ id, end: problemOf(error) });
    } finally {
      running.delete(id);
    }
  };

  port.onMessage((message) => void answer(message as RequestMessage));
  port.onClose(() => {
    for (const abort of running.values()) abort.abort();
  });
}

/** The application's own scheme, as the server's guard knows this machine. */
function ownAddress(url: string): string {
  const { pathname, search } = new URL(url);
  return `http://localhost${pathname}${search}`;
}

/** How far jobs are, by the same events that a client reads. */
class JobProgress {
  readonly #fractions = new Map<string, number>();

  constructor(
    private readonly server: Server,
    private readonly onProgress: (fraction: number | null) => void,
  ) {}

  /** An answer that is about a new job. */
  watch({ status, headers }: Response): void {
    const place = headers.get('location');
    if (status === 202 && place?.startsWith('/v1/jobs/')) void this.#follow(place).catch(() => undefined);
  }

  async #follow(place: string): Promise<void> {
    this.#fractions.set(place, 0);
    try {
      const events = new Request(`http://localhost${place}/events`, { headers: { host: 'localhost' } });
      const { body } = await this.server.fetch(events);
      let text = '';
      const decoder = new TextDecoder();
      const reader = body!.getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        const blocks = (text + decoder.decode(piece.value, { stream: true })).split('\n\n');
        text = blocks.pop()!;
        for (const block of blocks) this.#read(place, block);
      }
    } finally {
      this.#fractions.delete(place);
      if (this.#fractions.size === 0) this.onProgress(null);
    }
  }

  #read(place: string, block: string): void {
    if (!/^event: step$/m.test(block)) return;
    const { fraction } = JSON.parse(/^data: (.*)$/m.exec(block)![1]!) as { fraction: number };
    this.#fractions.set(place, fraction);
    this.onProgress(fraction);
  }
}
