/** What a PNG says in its text chunks, read by pieces and without its pixels: in Node, and in the studio's page. */

/** Keyword of the text chunk that says how a picture was made. */
export const metadataKeyword = 'detail-guidance';

const signature = [137, 80, 78, 71, 13, 10, 26, 10];
/** Bytes of the longest text that is read: options with latents of their own are megabytes. */
const mostText = 2 ** 26;

export class PngProblem extends Error {
  constructor(readonly what: 'no PNG' | 'cut short') {
    super(`it is ${what}`);
  }
}

export interface PngText {
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** Null where there is none under the keyword. */
  text: string | null;
}

/** Where in the file, and how many bytes. */
type Piece = readonly [at: number, length: number];

function* piece(at: number, length: number): Generator<Piece, Uint8Array, Uint8Array> {
  const bytes = yield [at, length];
  if (bytes.length < length) throw new PngProblem('cut short');
  return bytes;
}

const number = (bytes: Uint8Array, at: number) => new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);

/** Yields what is to be read, and is given that. @throws PngProblem for what is no whole PNG */
export function* pngText(keyword: string, size: number): Generator<Piece, PngText, Uint8Array> {
  const latin1 = new TextDecoder('latin1');
  const first = yield [0, signature.length];
  if (!signature.every((byte, at) => first[at] === byte)) throw new PngProblem('no PNG');
  const facts: PngText = { width: 0, height: 0, text: null };
  for (let at = signature.length; ;) {
    const head = yield* piece(at, 8);
    const [length, type] = [number(head, 0), latin1.decode(head.subarray(4))];
    if (at + 12 + length > size) throw new PngProblem('cut short');
    if (type === 'IHDR') {
      const header = yield* piece(at + 8, 8);
      Object.assign(facts, { width: number(header, 0), height: number(header, 4) });
    } else if (type === 'tEXt' && length <= mostText) {
      const data = yield* piece(at + 8, length);
      const end = data.indexOf(0);
      if (latin1.decode(data.subarray(0, end)) === keyword) facts.text = latin1.decode(data.subarray(end + 1));
    } else if (type === 'IEND') return facts;
    at += 12 + length;
  }
}

/** Of bytes that are all there. @throws PngProblem */
export function pngTextOf(bytes: Uint8Array, keyword: string): PngText {
  const reading = pngText(keyword, bytes.length);
  let next = reading.next();
  while (!next.done) {
    const [at, length] = next.value;
    next = reading.next(bytes.subarray(at, at + length));
  }
  return next.value;
}
