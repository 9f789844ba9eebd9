/** Pictures that are given to `generate`: to start from, and as a mask. Read on another thread. */
import { isUint8Array, isUint8ClampedArray } from 'node:util/types';

import { copyInPieces } from '../aside/pieces';
import { aside } from '../aside/thread';
import { pictureDimensions } from '../image/decode';
import type { Picture } from '../image/input';
import type { Tensor } from '../tensor';
import { invalid } from '../validation/invalid';

export type { Picture } from '../image/input';

interface Sides {
  width: number;
  height: number;
}

/**
 * Width and height, without decoding.
 *
 * @throws BAD_TENSOR for bytes of another kind, or pixels that do not fill the size
 */
export function pictureSides(picture: Picture, option: string): Sides {
  if (isUint8Array(picture)) return pictureDimensions(picture, `options.${option}`);
  const { width, height, channels, pixels } = picture;
  const sized = [width, height].every((side) => Number.isInteger(side) && side >= 1);
  const isBytes = isUint8Array(pixels) || isUint8ClampedArray(pixels);
  if (sized && isBytes && [1, 3, 4].includes(channels) && pixels.length === width * height * channels) return picture;
  throw invalid(`options.${option}`, 'width * height * channels bytes of 1, 3 or 4 channels', pixels, {
    code: 'BAD_TENSOR',
    shown: `${isBytes ? `${pixels.length} bytes` : 'no bytes'} for ${width} x ${height} pixels of ${channels} channels`,
  });
}

/** `pictureValues` of image/input.ts. @throws BAD_TENSOR */
export async function readPicture(picture: Picture, size: Sides, range: readonly [number, number]): Promise<Tensor> {
  const { own, isSmall } = await copyOf(picture, 'image', size);
  const data = await aside('pictureValues', [own, size, range, 'options.image'], { isSmall, givenAway: [own] });
  return { data, shape: [1, 3, size.height, size.width], dtype: 'float32' };
}

/** `maskCells` of image/input.ts. @throws BAD_TENSOR */
export async function readMask(picture: Picture, size: Sides, cells: readonly [number, number]): Promise<Float32Array> {
  const { own, isSmall } = await copyOf(picture, 'maskImage', size);
  return aside('maskCells', [own, size, cells, 'options.maskImage'], { isSmall, givenAway: [own] });
}

/** Pixels that are read sooner than sent to a thread. */
const smallPicture = 2 ** 14;

/**
 * A copy to give away, of the caller's bytes or pixels alone: a picture of `generate` has methods, which cannot be sent,
 * and a Buffer may lie in memory that it shares.
 */
async function copyOf(picture: Picture, option: string, size: Sides): Promise<{ own: Picture; isSmall: boolean }> {
  const sides = pictureSides(picture, option);
  const isSmall = Math.max(sides.width * sides.height, size.width * size.height) <= smallPicture;
  if (isUint8Array(picture)) return { own: await copyInPieces(picture), isSmall };
  const { width, height, channels, pixels } = picture;
  return { own: { width, height, channels, pixels: await copyInPieces(pixels) }, isSmall };
}
