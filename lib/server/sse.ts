/** Streams of server-sent events. */
import type { Context } from 'hono';
import { streamSSE, type SSEStreamingApi } from 'hono/streaming';

/** Milliseconds after which a silent connection is told that it is alive, and a client that is gone is noticed. */
const signOfLife = 15_000;

/** Writes one event, or a part of one, after the other. */
export type WriteEvent = (parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>) => Promise<void>;

/** @param tell writes the events; its signal aborts when the client has gone */
export function streamEvents(
  context: Context,
  tell: (write: WriteEvent, signal: AbortSignal) => Promise<void>,
): Response {
  return streamSSE(context, async (stream: SSEStreamingApi) => {
    const gone = new AbortController();
    stream.onAbort(() => gone.abort());
    let writing = 0;
    // Not into an event that is written in pieces.
    const timer = setInterval(() => void (writing > 0 || stream.write(': alive\n\n')), signOfLife);
    const write: WriteEvent = async (parts) => {
      writing++;
      try {
        for await (const part of parts) await stream.write(part);
      } finally {
        writing--;
      }
    };
    try {
      await tell(write, gone.signal);
    } finally {
      clearInterval(timer);
    }
  });
}
