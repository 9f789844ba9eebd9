/** Bytes in pieces, each in a turn of the event loop of its own. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Bytes that are hashed or copied in about half a millisecond. */
const piece = 2 ** 18;

/** Calls `use` with one piece after the other and where it begins; of what fits into one, in this turn. */
export async function eachPiece(bytes: Uint8Array, use: (part: Uint8Array, from: number) => void): Promise<void> {
  for (let from = 0; from < bytes.length; from += piece) {
    if (from > 0) await nextTurn();
    use(bytes.subarray(from, from + piece), from);
  }
}

/** A copy in memory of its own. */
export async function copyInPieces(bytes: Uint8Array): Promise<Uint8Array> {
  const copy = new Uint8Array(bytes.length);
  await eachPiece(bytes, (part, from) => copy.set(part, from));
  return copy;
}
