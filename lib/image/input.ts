/** Pictures that are given to start from, and masks, as the model's values. */
import { isUint8Array } from 'node:util/types';

import { decodePicture } from './decode';
import type { Raster } from './png';
import { resizeRaster } from './resize';

/** The bytes of a PNG, JPEG or WebP file, or its pixels. */
export type Picture = Uint8Array | Raster;

interface Sides {
  width: number;
  height: number;
}

/**
 * The picture as the VAE's encoder takes it, resized to the call's size. Grey becomes RGB; an alpha channel is left out,
 * as Pillow's `convert('RGB')` does.
 *
 * @param name what the picture is called in messages
 * @returns float32 [1, 3, height, width] from `black` to `white`
 * @throws BAD_TENSOR
 */
export async function pictureValues(
  picture: Picture,
  size: Sides,
  [black, white]: readonly [number, number],
  name: string,
): Promise<Float32Array> {
  const { width, height, channels, pixels } = fitted(await rasterOf(picture, name), size);
  const plane = width * height;
  const data = new Float32Array(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    for (let at = 0; at < plane; at++) {
      const level = pixels[at * channels + (channels === 1 ? 0 : channel)]!;
      data[channel * plane + at] = Math.fround(level / 255) * (white - black) + black;
    }
  }
  return data;
}

/**
 * The mask in latent cells, 1 where the picture is made anew: resized, grey, cut at one half, then the first pixel of each
 * cell, as diffusers does.
 *
 * @param name what the picture is called in messages
 * @returns one number for each cell, row by row
 * @throws BAD_TENSOR
 */
export async function maskCells(
  picture: Picture,
  size: Sides,
  [rows, columns]: readonly [number, number],
  name: string,
): Promise<Float32Array> {
  const { width, height, channels, pixels } = fitted(await rasterOf(picture, name), size);
  const mask = new Float32Array(rows * columns);
  for (let cell = 0; cell < mask.length; cell++) {
    const y = Math.floor((Math.floor(cell / columns) * height) / rows);
    const x = Math.floor(((cell % columns) * width) / columns);
    mask[cell] = grey(pixels, (y * width + x) * channels, channels) >= 127.5 ? 1 : 0;
  }
  return mask;
}

const rasterOf = async (picture: Picture, name: string): Promise<Raster> =>
  isUint8Array(picture) ? decodePicture(picture, name) : picture;

/** Pillow's `convert('L')`: ITU-R 601-2 luma in 16 bits. */
function grey(pixels: Uint8Array, at: number, channels: number): number {
  if (channels === 1) return pixels[at]!;
  return (pixels[at]! * 19_595 + pixels[at + 1]! * 38_470 + pixels[at + 2]! * 7_471 + 0x8000) >> 16;
}

function fitted(raster: Raster, size: Sides): Raster {
  return raster.width === size.width && raster.height === size.height ? raster : resizeRaster(raster, size);
}
