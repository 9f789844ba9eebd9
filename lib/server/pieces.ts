/** Large answers in pieces, each in a turn of the event loop of its own. */
import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Context } from 'hono';

import { base64Of, replaceBytes } from '../aside/json';

/** Bytes of a picture that go out at once; a multiple of 3, so that pieces of base64 join. */
const piece = 3 * 2 ** 13;

/** `value` as JSON, byte arrays anywhere in it as base64. */
export function jsonInPieces(context: Context, value: unknown): Response {
  const mark = randomUUID();
  const pictures: Uint8Array[] = [];
  const json = JSON.stringify(replaceBytes(value, (bytes) => `${mark}${pictures.push(bytes) - 1}${mark}`));
  const texts = json.split(new RegExp(`${mark}\\d+${mark}`)).map((text) => Buffer.from(text));
  const length =
    texts.reduce((sum, text) => sum + text.length, 0) +
    pictures.reduce((sum, picture) => sum + 4 * Math.ceil(picture.length / 3), 0);
  function* parts() {
    for (const [at, text] of texts.entries()) {
      yield text;
      for (const part of slices(pictures[at])) yield Buffer.from(base64Of(part), 'latin1');
    }
  }
  return answer(context, parts(), 'application/json', length);
}

/** A file as it is. */
export function bytesInPieces(context: Context, bytes: Uint8Array, type: string): Response {
  return answer(context, slices(bytes), type, bytes.length);
}

function* slices(bytes: Uint8Array = new Uint8Array()): Generator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += piece) yield bytes.subarray(from, from + piece);
}

function answer(context: Context, parts: Generator<Uint8Array>, type: string, length: number): Response {
  context.header('Content-Type', type);
  context.header('Content-Length', String(length));
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      // A socket that takes all it is given would have all of them in one turn.
      await nextTurn();
      const next = parts.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
  });
  return context.body(body);
}
