/** Pictures in a folder: PNG, JPEG and WebP files. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';

import { invalid, reasonOf } from '../validation/invalid';
import { decodePicture } from '../image/decode';
import type { Raster } from '../image/png';

import type { PictureSet } from './pictureSet';

const kinds = new Set(['.png', '.jpg', '.jpeg', '.webp']);

/**
 * Paths of the pictures inside a folder and its subfolders, sorted; links to pictures are pictures.
 *
 * @throws BAD_OPTION for a picture's link that leads nowhere
 */
export async function pictureFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files: string[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (!kinds.has(extname(entry.name).toLowerCase())) continue;
    if (entry.isFile() || (entry.isSymbolicLink() && (await isFileLink(path)))) files.push(path);
  }
  return files.sort();
}

async function isFileLink(path: string): Promise<boolean> {
  const status = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  return status.isFile();
}

/** @throws BAD_TENSOR for a first picture that is damaged; for the others when they are read */
export async function openPictureFolder(folder: string, files: string[]): Promise<PictureSet> {
  const { height, width, channels } = await readPicture(files[0]!);
  return {
    count: files.length,
    height,
    width,
    channels,
    labels: null,
    async read(from, to) {
      const size = height * width * channels;
      const pixels = new Uint8Array((to - from) * size);
      for (let index = from; index < to; index++) {
        const file = files[index]!;
        const picture = await readPicture(file);
        if (picture.height !== height || picture.width !== width || picture.channels > channels) {
          const describe = (raster: PixelRaster) =>
            `${raster.width} x ${raster.height} with ${raster.channels} channels`;
          throw invalid(
            file,
            `${describe({ height, width, channels, pixels })}, as the first picture of ${folder}`,
            [picture.height, picture.width, picture.channels],
            { code: 'BAD_TENSOR', shown: describe(picture) },
          );
        }
        pixels.set(withChannels(picture, channels), (index - from) * size);
      }
      return pixels;
    },
  };
}

interface PixelRaster {
  height: number;
  width: number;
  channels: 1 | 3;
  pixels: Uint8Array;
}

/**
 * One PNG, JPEG or WebP file, grey or RGB.
 *
 * @throws BAD_TENSOR when it is damaged or has transparent pixels
 */
export async function readPicture(file: string): Promise<PixelRaster> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw unreadable(file, cause);
  });
  try {
    return opaque(await decodePicture(bytes, file));
  } catch (cause) {
    throw invalid(file, 'a whole PNG, JPEG or WebP without transparency', file, {
      code: 'BAD_TENSOR',
      shown: 'another',
      note: reasonOf(cause),
      cause,
    });
  }
}

function unreadable(file: string, cause: unknown) {
  return invalid(file, 'a picture that can be read', file, { shown: 'another', note: reasonOf(cause), cause });
}

function opaque({ width, height, channels, pixels }: Raster): PixelRaster {
  if (channels !== 4) return { width, height, channels, pixels };
  const rgb = new Uint8Array(width * height * 3);
  for (let place = 0; place < width * height; place++) {
    if (pixels[4 * place + 3] !== 255) throw new Error('It has transparent pixels, which have no colour of their own.');
    rgb.set(pixels.subarray(4 * place, 4 * place + 3), 3 * place);
  }
  return { width, height, channels: 3, pixels: rgb };
}

/** A grey picture among coloured ones is coloured in grey. */
function withChannels({ pixels, channels }: PixelRaster, targetChannels: 1 | 3): Uint8Array {
  if (channels === targetChannels) return pixels;
  return Uint8Array.from({ length: pixels.length * 3 }, (_, index) => pixels[Math.floor(index / 3)]!);
}
