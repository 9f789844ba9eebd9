/** JSON whose fields in base64 are megabytes. */

/** Texts that are shorter stay what they are. */
const longText = 2 ** 13;

/** Base64, also as a data URL. */
export const base64Pattern = /^(data:[\w/+.-]+;base64,)?[A-Za-z0-9+/]*={0,2}$/;

/** The bytes of base64, or of a data URL. */
export function bytesOfBase64(text: string): Uint8Array {
  return Buffer.from(text.slice(text.indexOf(',') + 1), 'base64');
}

export const base64Of = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');

/**
 * The value with a text in place of every byte array in it, for JSON.stringify. Its own replacer comes too late: a Buffer's
 * toJSON, a list of numbers, is before it.
 */
export function replaceBytes(value: unknown, textOf: (bytes: Uint8Array) => string): unknown {
  if (value instanceof Uint8Array) return textOf(value);
  if (Array.isArray(value)) return value.map((item) => replaceBytes(item, textOf));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, replaceBytes(inner, textOf)]));
}

/** Lists and objects in each other; more cannot be sent from one thread to another. */
const deepest = 100;

/** Bytes of JSON beside long base64: what is left of a request without its pictures and tensors is small. */
export const mostBesideBase64 = 2 ** 18;

/**
 * Parses JSON, in UTF-8.
 *
 * @param names of fields that hold base64: where one is long and well formed, its bytes are in its place
 * @throws SyntaxError, as JSON.parse does, also for JSON that is nested too deep; RangeError for more than
 *   `mostBesideBase64`, before it is parsed unless it is in long texts
 */
export function parseWithBytes(json: Uint8Array, names: readonly string[]): unknown {
  const isBase64 = new Set(names);
  let beside = bytesBesideTexts(json);
  requireLittle(beside);
  const withBytes = (value: unknown, depth = 0): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (depth > deepest) throw new SyntaxError(`more than ${deepest} lists and objects in each other`);
    const fields = value as Record<string, unknown>;
    for (const [key, inner] of Object.entries(fields)) {
      const isLong = typeof inner === 'string' && inner.length >= longText;
      if (isLong && isBase64.has(key) && base64Pattern.test(inner)) fields[key] = new Uint8Array(bytesOfBase64(inner));
      else if (isLong) requireLittle((beside += inner.length));
      else withBytes(inner, depth + 1);
    }
    return value;
  };
  return withBytes(JSON.parse(bufferOf(json).toString()));
}

function requireLittle(bytes: number): void {
  if (bytes <= mostBesideBase64) return;
  throw new RangeError(`expected at most ${mostBesideBase64} bytes beside pictures and tensors`);
}

const bufferOf = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

const [quote, backslash] = Buffer.from('"\\');

/** What is to be parsed beside the inside of long texts, without parsing it. */
function bytesBesideTexts(json: Uint8Array): number {
  const bytes = bufferOf(json);
  const isEscaped = (at: number) => {
    let before = at;
    while (bytes[before - 1] === backslash) before--;
    return (at - before) % 2 === 1;
  };
  let beside = bytes.length;
  for (let from = bytes.indexOf(quote!); from >= 0;) {
    let end = bytes.indexOf(quote!, from + 1);
    while (end >= 0 && isEscaped(end)) end = bytes.indexOf(quote!, end + 1);
    if (end < 0) return beside;
    if (end - from > longText) beside -= end - from;
    from = bytes.indexOf(quote!, end + 1);
  }
  return beside;
}
