/** Pictures as PNG, made on another thread where they are large. */
import { copyInPieces } from '../aside/pieces';
import { aside } from '../aside/thread';
import type { PngPicture } from '../image/png';
import type { Size } from '../image/sizedPng';

/** Bytes of pixels that are encoded sooner than sent to a thread. */
const smallPicture = 20_000;

/**
 * What `encodePng` gives.
 *
 * @param isGivenAway the caller does not use the pixels any more: they are moved, and its array is empty then
 * @throws what `encodePng` throws
 */
export function encodePngAside(picture: PngPicture, isGivenAway = false): Promise<Uint8Array> {
  return encodeSizedAside(picture, picture, isGivenAway);
}

/** The same of a picture that is resized on that thread before. */
export async function encodeSizedAside(
  { width, height, channels, pixels, text }: PngPicture,
  size: Size,
  isGivenAway = false,
): Promise<Uint8Array> {
  const isSmall = pixels.length < smallPicture;
  const own = isSmall || isGivenAway ? pixels : await copyInPieces(pixels);
  const picture = { width, height, channels, pixels: own, ...(text ? { text } : {}) };
  return aside('encodePng', [picture, { width: size.width, height: size.height }], { isSmall, givenAway: [own] });
}
