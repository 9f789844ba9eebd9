/** JPEG in. */
import { decode } from 'jpeg-js';

import { DetailGuidanceError } from '../validation/errors';

import type { Raster } from './png';

/** Whether the bytes begin as a JPEG does. */
export const isJpeg = (bytes: Uint8Array): boolean => bytes[0] === 0xff && bytes[1] === 0xd8;

/**
 * Decodes a JPEG, grey or coloured, to RGB.
 *
 * @throws BAD_TENSOR when the bytes are not a complete JPEG
 */
export function decodeJpeg(bytes: Uint8Array): Raster & { channels: 3 } {
  // The decoder fills what is missing with grey; a file without its end marker is not whole.
  if (lastMarker(bytes) !== 0xffd9) throw refuse('it has no end: it is truncated');
  try {
    const { width, height, data } = decode(bytes, {
      useTArray: true,
      formatAsRGBA: false,
      tolerantDecoding: false,
      maxMemoryUsageInMB: 4096,
    });
    return { width, height, channels: 3, pixels: data };
  } catch (cause) {
    throw refuse(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function refuse(why: string, cause?: unknown): DetailGuidanceError {
  const expected = 'a whole JPEG';
  return new DetailGuidanceError('BAD_TENSOR', `This JPEG cannot be read, ${why}; ${expected} would be right.`, {
    expected,
    cause,
  });
}

/** Some writers pad the file with zeros. */
function lastMarker(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 2 && bytes[end - 1] === 0) end--;
  return (bytes[end - 2]! << 8) | bytes[end - 1]!;
}
