/** JPEG in. */
import { invalid } from '../validation/invalid';

import { decodeBy } from './codec';
import { jpegSegments } from './jpegSegments';
import type { Raster } from './png';

/**
 * Decodes a JPEG, grey or coloured, to RGB, as it lies in the file: the pixels that Pillow gives.
 *
 * @throws BAD_TENSOR when the bytes are not a complete JPEG, or one in CMYK
 */
export async function decodeJpeg(bytes: Uint8Array): Promise<Raster & { channels: 3 }> {
  // The decoder fills what is missing with grey; a file without its end marker is not whole. What follows the end is not
  // the picture's: cameras put films there.
  const { segments, end } = jpegSegments(bytes);
  if (end === null) throw refused('a truncated one');
  const frame = segments.find(({ marker }) => marker >= 0xc0 && marker <= 0xc3);
  if (frame?.content[5] === 4) throw refused('one in CMYK');
  const { width, height, data } = await decodeBy('jpeg', bytes.subarray(0, end), 'a whole JPEG');
  const pixels = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) pixels[pixel * 3 + channel] = data[pixel * 4 + channel]!;
  }
  return { width, height, channels: 3, pixels };
}

function refused(shown: string) {
  return invalid('This picture', 'a whole JPEG, grey or RGB', undefined, { code: 'BAD_TENSOR', shown });
}
