/** Pictures that are given to `generate`: to start from, and as a mask. */
import { invalid } from '../validation/invalid';
import { decodePicture, pictureDimensions } from '../image/decode';
import type { Raster } from '../image/png';
import { resizeRaster } from '../image/resize';
import type { Tensor } from '../tensor';

/** The bytes of a PNG, JPEG or WebP file, or its pixels. */
export type Picture = Uint8Array | Raster;

/**
 * Width and height, without decoding.
 *
 * @throws BAD_TENSOR for bytes of another kind, or pixels that do not fill the size
 */
export function pictureSides(picture: Picture, option: string): { width: number; height: number } {
  if (picture instanceof Uint8Array) return pictureDimensions(picture, `options.${option}`);
  const { width, height, channels, pixels } = picture;
  const sized = [width, height].every((side) => Number.isInteger(side) && side >= 1);
  const isBytes = pixels instanceof Uint8Array || (pixels as unknown) instanceof Uint8ClampedArray;
  if (sized && isBytes && [1, 3, 4].includes(channels) && pixels.length === width * height * channels) return picture;
  throw invalid(`options.${option}`, 'width * height * channels bytes of 1, 3 or 4 channels', pixels, {
    code: 'BAD_TENSOR',
    shown: `${isBytes ? `${pixels.length} bytes` : 'no bytes'} for ${width} x ${height} pixels of ${channels} channels`,
  });
}

/** @throws BAD_TENSOR */
async function readRaster(picture: Picture, option: string): Promise<Raster> {
  if (picture instanceof Uint8Array) return decodePicture(picture, `options.${option}`);
  pictureSides(picture, option);
  return picture;
}

/**
 * The picture as the VAE's encoder takes it, resized to the call's size. Grey becomes RGB; an alpha channel is left out,
 * as Pillow's `convert('RGB')` does.
 *
 * @returns float32 [1, 3, height, width] from `black` to `white`
 * @throws BAD_TENSOR
 */
export async function readPicture(
  picture: Picture,
  size: { width: number; height: number },
  [black, white]: readonly [number, number],
): Promise<Tensor> {
  const { width, height, channels, pixels } = fitted(await readRaster(picture, 'image'), size);
  const plane = width * height;
  const data = new Float32Array(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    for (let at = 0; at < plane; at++) {
      const level = pixels[at * channels + (channels === 1 ? 0 : channel)]!;
      data[channel * plane + at] = Math.fround(level / 255) * (white - black) + black;
    }
  }
  return { data, shape: [1, 3, height, width], dtype: 'float32' };
}

/**
 * The mask in latent cells, 1 where the picture is made anew: resized, grey, cut at one half, then the first pixel of each
 * cell, as diffusers does.
 *
 * @returns one number for each cell, row by row
 * @throws BAD_TENSOR
 */
export async function readMask(
  picture: Picture,
  size: { width: number; height: number },
  [rows, columns]: readonly [number, number],
): Promise<Float32Array> {
  const { width, height, channels, pixels } = fitted(await readRaster(picture, 'maskImage'), size);
  const mask = new Float32Array(rows * columns);
  for (let cell = 0; cell < mask.length; cell++) {
    const y = Math.floor((Math.floor(cell / columns) * height) / rows);
    const x = Math.floor(((cell % columns) * width) / columns);
    mask[cell] = grey(pixels, (y * width + x) * channels, channels) >= 127.5 ? 1 : 0;
  }
  return mask;
}

/** Pillow's `convert('L')`: ITU-R 601-2 luma in 16 bits. */
function grey(pixels: Uint8Array, at: number, channels: number): number {
  if (channels === 1) return pixels[at]!;
  return (pixels[at]! * 19_595 + pixels[at + 1]! * 38_470 + pixels[at + 2]! * 7_471 + 0x8000) >> 16;
}

function fitted(raster: Raster, size: { width: number; height: number }): Raster {
  return raster.width === size.width && raster.height === size.height ? raster : resizeRaster(raster, size);
}
