/** Large answers in pieces, each in a turn of the event loop of its own. */
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Context } from 'hono';

import { jsonPieces } from '../aside/jsonPieces';
import { aside } from '../aside/thread';

/** Bytes that go out at once. */
const piece = 2 ** 15;
/** Bytes that are put into base64 sooner than sent to a thread. */
const smallPicture = 2 ** 13;

/**
 * `value` as JSON, byte arrays anywhere in it as base64.
 *
 * @param value whose byte arrays nobody uses any more: they are moved to a thread, and empty then
 */
export async function jsonInPieces(
  context: Context,
  value: unknown,
  rounded?: (value: number) => number,
): Promise<Response> {
  const parts: Uint8Array[] = [];
  for await (const part of jsonParts(value, rounded)) parts.push(part);
  return answer(context, parts, 'application/json');
}

/** The same, for who writes it on by himself. */
export async function* jsonParts(value: unknown, rounded?: (value: number) => number): AsyncGenerator<Uint8Array> {
  for (const part of jsonPieces(value, rounded)) {
    if (typeof part === 'string') {
      yield Buffer.from(part);
      await nextTurn();
    } else {
      yield aside('base64', [part], { isSmall: part.length < smallPicture, givenAway: [part] });
    }
  }
}

/** Bytes in pieces; what fits into one comes in this turn. */
export async function* inTurns(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (const part of slicesOf([bytes])) {
    if (part.byteOffset > bytes.byteOffset) await nextTurn();
    yield part;
  }
}

/** A file as it is. */
export function bytesInPieces(context: Context, bytes: Uint8Array, type: string): Response {
  return answer(context, [bytes], type);
}

function answer(context: Context, parts: readonly Uint8Array[], type: string): Response {
  context.header('Content-Type', type);
  context.header('Content-Length', String(parts.reduce((sum, part) => sum + part.length, 0)));
  const slices = slicesOf(parts);
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      // A socket that takes all it is given would have all of them in one turn.
      await nextTurn();
      const next = slices.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
  });
  return context.body(body);
}

function* slicesOf(parts: readonly Uint8Array[]): Generator<Uint8Array> {
  for (const part of parts) {
    for (let from = 0; from < part.length; from += piece) yield part.subarray(from, from + piece);
  }
}
