/** Where a bundle's files may lie: in its folder, or, as the cache of Hugging Face links them, beside it. */
import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, posix, relative, sep, win32 } from 'node:path';

import type { DetailGuidanceError } from '../validation/errors';
import { invalid } from '../validation/invalid';

/**
 * The real path of a file in the folder, links followed. Inside the folder is anywhere in it; a link may also lead to
 * the blobs of the cache that the folder is a snapshot in (`models--…/snapshots/…` and `models--…/blobs`).
 *
 * @param folder real path of the bundle's folder
 * @throws BUNDLE_NOT_FOUND, BUNDLE_INVALID
 */
export async function placeOf(folder: string, file: string): Promise<string> {
  const parts = file.split(/[\\/]/);
  if (posix.isAbsolute(file) || win32.isAbsolute(file) || /^[A-Za-z]:/.test(file) || parts.includes('..')) {
    throw refused(file, 'its path leaves the folder');
  }
  const path = await realpath(join(folder, file)).catch((cause: unknown) => {
    throw invalid(`The bundle's file ${file}`, `a file in ${folder}`, undefined, { code: 'BUNDLE_NOT_FOUND', cause });
  });
  const below = relative(folder, path);
  const isOutside = below.startsWith('..') || isAbsolute(below);
  if (isOutside && !isBlobOf(folder, path)) throw refused(file, 'it is a link to somewhere else');
  return path;
}

/** Whether `path` is a blob of the cache that `folder` lies in. */
export function isBlobOf(folder: string, path: string): boolean {
  const blobs = dirname(path);
  if (basename(blobs) !== 'blobs') return false;
  return folder.startsWith(`${join(dirname(blobs), 'snapshots')}${sep}`);
}

/** Whether a blob's name is the checksum of what is in it: git's of a small file, sha256 of a large one. */
export function isNamedAfter(path: string, bytes: Buffer): boolean {
  const name = basename(path);
  const git = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
  return name === git || name === createHash('sha256').update(bytes).digest('hex');
}

/** BUNDLE_INVALID for a listed file. */
export function refused(file: string, why: string): DetailGuidanceError {
  return invalid('bundle.json.files', "files inside the bundle's folder", file, { code: 'BUNDLE_INVALID', note: why });
}
