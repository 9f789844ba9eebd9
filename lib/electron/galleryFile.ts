/** What a PNG file says about how it was made, read without its pixels. */
import { open, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';

import type { PictureMetadata } from '../call/metadata';
import { metadataKeyword, pngText, type PngText } from '../image/pngText';
import { reasonOf } from '../validation/invalid';

import type { GalleryPicture } from './galleryTypes';

/** The picture, or a sentence about why the file is none of this package's. */
export async function readGalleryPicture(
  path: string,
  { mtimeMs, size }: { mtimeMs: number; size: number },
): Promise<GalleryPicture | string> {
  const file = basename(path);
  let handle: FileHandle | null = null;
  try {
    handle = await open(path, 'r');
    const { width, height, text } = await readChunks(handle, size);
    if (text === null) return `${file} was not made by detail-guidance.`;
    const { format, version, bundle, options } = parse(text);
    if (format !== 1) return `${file} has settings of the format ${String(format)}; this version reads format 1.`;
    return { file, created: mtimeMs, width, height, version, bundle: bundle.name, options: { ...options } };
  } catch (error) {
    return `${file} is damaged: ${reasonOf(error)}.`;
  } finally {
    await handle?.close();
  }
}

function parse(text: string): PictureMetadata {
  const metadata = JSON.parse(text) as PictureMetadata;
  if (typeof metadata?.bundle?.name !== 'string' || typeof metadata.options !== 'object')
    throw new Error('its settings are not whole');
  return metadata;
}

/** @throws Error for what is no whole PNG */
async function readChunks(handle: FileHandle, size: number): Promise<PngText> {
  const reading = pngText(metadataKeyword, size);
  let next = reading.next();
  while (!next.done) {
    const [at, length] = next.value;
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, at);
    next = reading.next(buffer.subarray(0, bytesRead));
  }
  return next.value;
}
