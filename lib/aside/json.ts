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

/**
 * Parses JSON, in UTF-8.
 *
 * @param names of fields that hold base64: where one is long and well formed, its bytes are in its place
 * @throws SyntaxError, as JSON.parse does, also for JSON that is nested too deep
 */
export function parseWithBytes(json: Uint8Array, names: readonly string[]): unknown {
  const isBase64 = new Set(names);
  const withBytes = (value: unknown, depth = 0): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (depth > deepest) throw new SyntaxError(`more than ${deepest} lists and objects in each other`);
    const fields = value as Record<string, unknown>;
    for (const [key, inner] of Object.entries(fields)) {
      const isLong = typeof inner === 'string' && inner.length >= longText;
      if (isLong && isBase64.has(key) && base64Pattern.test(inner)) fields[key] = new Uint8Array(bytesOfBase64(inner));
      else withBytes(inner, depth + 1);
    }
    return value;
  };
  return withBytes(JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.length).toString()));
}
