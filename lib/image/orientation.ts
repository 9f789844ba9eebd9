/** EXIF orientation: how a picture that lies in its file turned or mirrored is stood upright. */
import readExif from 'exif-reader';

import { chunks, latin } from './chunks';
import { jpegSegments } from './jpegSegments';
import type { PictureKind } from './kind';
import type { Raster } from './png';

/** 1 upright to 8, as EXIF numbers them; 5 to 8 exchange width and height. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** The orientation that a file's EXIF data names; 1 without any, or with some that cannot be read. */
export function orientationOf(bytes: Uint8Array, kind: PictureKind): Orientation {
  const exif = exifOf(bytes, kind);
  if (!exif) return 1;
  try {
    const { Orientation: named } = readExif(Buffer.from(exif)).Image ?? {};
    return Number.isInteger(named) && named! >= 1 && named! <= 8 ? (named as Orientation) : 1;
  } catch {
    return 1;
  }
}

function exifOf(bytes: Uint8Array, kind: PictureKind): Uint8Array | undefined {
  if (kind === 'png') return chunks(bytes, 'png').find(({ name }) => name === 'eXIf')?.content;
  if (kind === 'webp') return chunks(bytes, 'riff').find(({ name }) => name === 'EXIF')?.content;
  return jpegSegments(bytes).segments.find(({ marker, content }) => marker === 0xe1 && latin(content, 6) === 'Exif\0\0')
    ?.content;
}

/** Whether width and height are exchanged. */
export function turns(orientation: Orientation): boolean {
  return orientation >= 5;
}

/** The picture upright, as Pillow's `exif_transpose` gives it. */
export function upright(raster: Raster, orientation: Orientation): Raster {
  if (orientation === 1) return raster;
  const { channels, pixels } = raster;
  const [width, height] = turns(orientation) ? [raster.height, raster.width] : [raster.width, raster.height];
  const mirrored = [2, 3, 7, 8].includes(orientation);
  const flipped = [3, 4, 6, 7].includes(orientation);
  const turned = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      // Where the pixel lies in the file: exchanged first, then counted from the other end.
      let [column, row] = turns(orientation) ? [y, x] : [x, y];
      if (mirrored) column = raster.width - 1 - column;
      if (flipped) row = raster.height - 1 - row;
      const from = (row * raster.width + column) * channels;
      turned.set(pixels.subarray(from, from + channels), (y * width + x) * channels);
    }
  }
  return { width, height, channels, pixels: turned };
}
