/** What is no HTTP request that a route could answer: refused in the form that routes refuse in. */
import { STATUS_CODES, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { problemOf, ServerError } from './problem';

/** Of Node's errors, those that have a status of their own. */
const statuses: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
};

const bodyOf = (what: string) => {
  const { problem } = problemOf(new ServerError('BAD_REQUEST', `The request: expected HTTP/1.1, received ${what}.`));
  return JSON.stringify({ error: problem });
};

/** For a request whose address or host cannot be read. */
export function answerMalformed(error: unknown): Response {
  const what = error instanceof Error && error.name === 'RequestError' ? `one with a fault: ${error.message}` : 'none';
  return new Response(bodyOf(what), { status: 400, headers: { 'Content-Type': 'application/json' } });
}

/** For what is no request, or does not arrive in time. */
export function refuseMalformed(http: Server): void {
  http.on('clientError', (error: NodeJS.ErrnoException, socket: Socket & { _httpMessage?: ServerResponse | null }) => {
    // As Node itself: nothing is written into an answer that has begun.
    if (!socket.writable || error.code === 'ECONNRESET' || socket._httpMessage?.headersSent) {
      socket.destroy(error);
      return;
    }
    const status = statuses[error.code ?? ''] ?? 400;
    const body = bodyOf(`one with a fault: ${error.message}`);
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
    socket.destroySoon();
  });
}
