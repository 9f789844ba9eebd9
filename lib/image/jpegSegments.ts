/** How a JPEG file is laid out: segments up to its end marker, whatever bytes follow. */

export interface JpegSegment {
  /** The second byte of the marker. */
  marker: number;
  /** Without marker and length. */
  content: Uint8Array;
}

/** The segments of a JPEG, and the place after its end marker: null where the file ends before it. */
export function jpegSegments(bytes: Uint8Array): { segments: JpegSegment[]; end: number | null } {
  const segments: JpegSegment[] = [];
  let at = 2;
  while (at + 1 < bytes.length) {
    // Entropy-coded data escapes its 0xff as 0xff00 and may hold restart markers; all of it belongs to no segment.
    const marker = bytes[at + 1]!;
    if (bytes[at] !== 0xff || marker === 0xff || marker === 0 || (marker >= 0xd0 && marker <= 0xd8) || marker === 1) {
      at += bytes[at] === 0xff && marker !== 0xff ? 2 : 1;
      continue;
    }
    if (marker === 0xd9) return { segments, end: at + 2 };
    if (at + 4 > bytes.length) break;
    const length = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    segments.push({ marker, content: bytes.subarray(at + 4, at + 2 + length) });
    at += 2 + Math.max(2, length);
  }
  return { segments, end: null };
}
