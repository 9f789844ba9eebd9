/** Pictures and videos as PNG, made on other threads where they are large. */
import { copyInPieces, eachPiece } from '../aside/pieces';
import { aside } from '../aside/thread';
import type { Animation } from '../image/apng';
import { checkFrameRate } from '../image/frameRate';
import type { PngPicture } from '../image/png';
import type { Size } from '../image/sizedPng';

/** Bytes of pixels that are encoded sooner than sent to a thread. */
const smallPicture = 20_000;

/** Frames of a video that are encoded at once: as many as there are threads for it. */
const framesAtOnce = 2;

/**
 * What `encodeApng` gives: of one frame a plain PNG.
 *
 * @param isGivenAway the caller does not use the pixels any more: they are moved, and its arrays are empty then
 * @throws what `encodeApng` throws
 */
export async function encodeApngAside(
  { frames, frameRate, ...form }: Animation,
  isGivenAway = false,
): Promise<Uint8Array> {
  checkFrameRate(frameRate);
  const count = frames.length;
  if (count === 1) return encodeSizedAside({ ...form, pixels: frames[0]! }, form, isGivenAway);
  const isSmall = count * frames[0]!.length < smallPicture;
  const parts: Uint8Array[] = [];
  let next = 0;
  const work = async () => {
    while (next < count) {
      const index = next++;
      const pixels = isSmall || isGivenAway ? frames[index]! : await copyInPieces(frames[index]!);
      const options = { isSmall, givenAway: [pixels] };
      parts[index] = await aside(
        'encodeApngFrame',
        [
          { ...form, pixels },
          { index, count, frameRate },
        ],
        options,
      );
    }
  };
  await Promise.all(Array.from({ length: framesAtOnce }, work));
  return joinedInPieces(parts);
}

async function joinedInPieces(parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let begin = 0;
  for (const part of parts) {
    await eachPiece(part, (piece, from) => whole.set(piece, begin + from));
    begin += part.length;
  }
  return whole;
}

/** A picture as PNG, resized on that thread before. @throws what `encodePng` throws */
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
