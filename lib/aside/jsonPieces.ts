/** JSON of large values, made in pieces so that other work has its turn between them. */

/** Letters of a piece: numbers are written at some ten million letters a second. */
const pieceLength = 2 ** 13;

/**
 * The text that JSON.stringify gives of plain data, in pieces. Byte arrays come as they are, between two pieces: their
 * place is that of a text in base64, whose quotes are there.
 *
 * @param rounded is applied to numbers
 */
export function* jsonPieces(
  value: unknown,
  rounded: (value: number) => number = (number) => number,
): Generator<string | Uint8Array> {
  let text = '';
  /** Undefined for what JSON does not have. */
  const leaf = (inner: unknown): string | undefined =>
    JSON.stringify(typeof inner === 'number' ? rounded(inner) : inner);
  function* write(inner: unknown, before: string): Generator<string | Uint8Array> {
    if (typeof inner !== 'object' || inner === null) {
      text += before + (leaf(inner) ?? 'null');
    } else if (inner instanceof Uint8Array) {
      yield `${text}${before}"`;
      yield inner;
      text = '"';
    } else {
      const isList = Array.isArray(inner);
      let separator = before + (isList ? '[' : '{');
      // A generator for every number would take longer than its text.
      for (const [key, item] of isList ? inner.entries() : Object.entries(inner)) {
        const isLeaf = typeof item !== 'object' || item === null;
        const leafText = isLeaf ? leaf(item) : undefined;
        if (isLeaf && leafText === undefined && !isList) continue;
        const start = isList ? separator : `${separator}${JSON.stringify(key)}:`;
        if (isLeaf) text += start + (leafText ?? 'null');
        else yield* write(item, start);
        separator = ',';
        if (text.length >= pieceLength) {
          yield text;
          text = '';
        }
      }
      text += (separator === ',' ? '' : separator) + (isList ? ']' : '}');
    }
  }
  yield* write(value, '');
  if (text !== '') yield text;
}
