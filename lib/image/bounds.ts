/** Pictures that would be far larger in memory than their files: what is unpacked is bounded before it is. */
import { inflateSync } from 'node:zlib';

import { chunks } from './chunks';

/** Pillow refuses a picture of more as a decompression bomb: twice its MAX_IMAGE_PIXELS. */
export const mostPixels = 178_956_970;

const samples: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/**
 * The bytes of a PNG without its colour profile, which nobody here reads and which may inflate to anything.
 *
 * @throws an Error with the reason for one of too many pixels, or whose data inflates to more than these
 */
export function boundPng(bytes: Uint8Array): Uint8Array {
  const parts = chunks(bytes, 'png');
  const headers = parts.filter(({ name }) => name === 'IHDR');
  const header = headers[0]?.content;
  if (headers.length !== 1 || parts[0]?.name !== 'IHDR' || header!.length !== 13) throw new Error('it has no header');
  const view = new DataView(header!.buffer, header!.byteOffset, 13);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  if (width * height > mostPixels) throw new Error(`it has ${width} x ${height} pixels, and at most ${mostPixels} fit`);
  const row = 1 + Math.ceil((width * (samples[header![9]!] ?? 4) * header![8]!) / 8);
  const data = Buffer.concat(parts.flatMap(({ name, content }) => (name === 'IDAT' ? [content] : [])));
  // Twice: interlaced rows are shorter, and each has a byte of its own.
  requireInflated(data, 2 * row * height + 1024);
  if (!parts.some(({ name }) => name === 'iCCP')) return bytes;
  const remainder = parts.flatMap(({ name, whole }) => (name === 'iCCP' ? [] : [whole]));
  return Uint8Array.from(Buffer.concat([bytes.subarray(0, 8), ...remainder]));
}

/** Of what cannot be inflated the decoder says why. */
function requireInflated(data: Uint8Array, most: number): void {
  try {
    const { engine } = inflateSync(data, { maxOutputLength: most, info: true }) as unknown as {
      engine: { bytesWritten: number };
    };
    // The decoder would go on with another stream behind the first.
    if (data.subarray(engine.bytesWritten).every((byte) => byte === 0)) return;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') return;
  }
  throw new Error('its data is more than its pixels');
}
