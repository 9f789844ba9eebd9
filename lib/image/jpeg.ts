/** JPEG in. */
import { decode } from 'jpeg-js';

import { type DetailGuidanceError } from '../validation/errors';
import { invalid, reasonOf } from '../validation/invalid';

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
  if (lastMarker(bytes) !== 0xffd9) throw refuse('a truncated one');
  try {
    const { width, height, data } = decode(bytes, {
      useTArray: true,
      formatAsRGBA: false,
      tolerantDecoding: false,
      maxMemoryUsageInMB: 4096,
    });
    return { width, height, channels: 3, pixels: data };
  } catch (cause) {
    throw refuse('another', cause);
  }
}

function refuse(shown: string, cause?: unknown): DetailGuidanceError {
  const note = cause === undefined ? undefined : reasonOf(cause);
  return invalid('This picture', 'a whole JPEG', undefined, { code: 'BAD_TENSOR', shown, note, cause });
}

/** Some writers pad the file with zeros. */
function lastMarker(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 2 && bytes[end - 1] === 0) end--;
  return (bytes[end - 2]! << 8) | bytes[end - 1]!;
}
