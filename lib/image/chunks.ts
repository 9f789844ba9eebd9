/** Files that are a row of named chunks. */

export interface Chunk {
  name: string;
  content: Uint8Array;
  /** All of it: length, name, content and, in a PNG, checksum. */
  whole: Uint8Array;
}

/** The chunks of a PNG (length, name, content, checksum) from byte 8, or of a RIFF file (name, length, content, even) from 12. */
export function chunks(bytes: Uint8Array, kind: 'png' | 'riff'): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const items: Chunk[] = [];
  const isPng = kind === 'png';
  for (let at = isPng ? 8 : 12; at + 8 <= bytes.length;) {
    const length = view.getUint32(isPng ? at : at + 4, !isPng);
    const end = at + 8 + length + (isPng ? 4 : length % 2);
    const name = latin(bytes.subarray(isPng ? at + 4 : at), 4);
    items.push({ name, content: bytes.subarray(at + 8, at + 8 + length), whole: bytes.subarray(at, end) });
    if (isPng && name === 'IEND') break;
    at = end;
  }
  return items;
}

/** The first bytes as text. */
export function latin(bytes: Uint8Array, count: number): string {
  return String.fromCharCode(...bytes.subarray(0, count));
}
