/** Opens what generated pictures are compared with. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';

import { AbortError, type DetailGuidanceError } from '../validation/errors';
import { invalid } from '../validation/invalid';

import { openPictureFolder, pictureFiles } from './pictureFolder';
import { openPictureArray } from './pictureArray';
import type { PictureSet } from './pictureSet';
import { openShards, shardPattern } from './shards';

const expected =
  'a folder of PNG, JPEG or WebP files, an .npy or .safetensors file of uint8 pictures, or a folder of such safetensors files';

/**
 * Opens a set of pictures: a folder of PNG, JPEG and WebP files (subfolders too), in the order of their paths; an `.npy` file
 * uint8 [N, H, W] or [N, H, W, 1 or 3]; a `.safetensors` file whose tensor `images` is such, with the classes as
 * `labels` (int64 or int32 [N]) if known; or a folder of `samples-*.safetensors` as an evaluation leaves it.
 *
 * @throws BAD_OPTION when there is no such thing or it is empty; BAD_TENSOR when it cannot be read
 */
export async function openPictures(path: string): Promise<PictureSet> {
  const status = await stat(path).catch((cause: unknown) => {
    throw refused(path, 'nothing', cause);
  });
  if (!status.isDirectory()) {
    const kind = extname(path).toLowerCase();
    if (kind === '.npy' || kind === '.safetensors') return openPictureArray(path);
    throw refused(path, kind === '' ? 'a file without suffix' : `a ${kind} file`);
  }
  if ((await readdir(path)).some((name) => shardPattern.test(name))) return openShards(path);
  const files = await pictureFiles(path);
  if (files.length === 0) throw refused(path, 'a folder without any');
  return openPictureFolder(path, files);
}

/**
 * What tells one set from another: the sha256 of a file's bytes, or of the names and sizes of a folder's files.
 *
 * @throws BAD_OPTION when there is nothing; ABORT_ERR
 */
export async function fingerprintOf(path: string, signal?: AbortSignal): Promise<string> {
  const digest = createHash('sha256');
  const status = await stat(path).catch((cause: unknown) => {
    throw refused(path, 'nothing', cause);
  });
  if (status.isDirectory()) {
    // As pictureFiles: it does not go into folders by links, which may lead round in a circle.
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const names = entries.map((entry) => relative(path, join(entry.parentPath, entry.name))).sort();
    for (const name of names) {
      if (signal?.aborted) throw new AbortError(signal.reason);
      // A link that leads nowhere: no picture, or opening the folder says so.
      const entry = await stat(join(path, name)).catch(() => null);
      if (entry?.isFile()) digest.update(`${name}\0${entry.size}\0`);
    }
    return digest.digest('hex');
  }
  if (!status.isFile()) throw refused(path, 'a pipe or a device');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    if (signal?.aborted) throw new AbortError(signal.reason);
    digest.update(chunk as Buffer);
  }
  return digest.digest('hex');
}

function refused(path: string, shown: string, cause?: unknown): DetailGuidanceError {
  return invalid(path, expected, path, { shown, cause });
}
