/** What a PNG file says about how it was made, read without its pixels. */
import { open, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';

import { metadataKeyword, type PictureMetadata } from '../call/metadata';
import { reasonOf } from '../validation/invalid';

import type { GalleryPicture } from './galleryTypes';

const signature = '89504e470d0a1a0a';
/** Bytes of the longest text that is read: options with latents of their own are megabytes. */
const mostText = 2 ** 26;

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
async function readChunks(handle: FileHandle, size: number) {
  const read = async (at: number, length: number): Promise<Buffer> => {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, at);
    if (bytesRead < length) throw new Error('it is cut short');
    return buffer;
  };
  if ((await read(0, 8)).toString('hex') !== signature) throw new Error('it is no PNG');
  let [width, height, text] = [0, 0, null as string | null];
  for (let at = 8; ;) {
    const head = await read(at, 8);
    const [length, type] = [head.readUInt32BE(0), head.toString('latin1', 4)];
    if (at + 12 + length > size) throw new Error('it is cut short');
    if (type === 'IHDR') {
      const header = await read(at + 8, 8);
      [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
    } else if (type === 'tEXt' && length <= mostText) {
      const data = await read(at + 8, length);
      const end = data.indexOf(0);
      if (data.toString('latin1', 0, end) === metadataKeyword) text = data.toString('latin1', end + 1);
    } else if (type === 'IEND') return { width, height, text };
    at += 12 + length;
  }
}
