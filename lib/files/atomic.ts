/** Files appear whole or not at all: written beside their place under another name, then renamed onto it. */
import { existsSync } from 'node:fs';
import { open, rename, stat, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { AbortError, DetailGuidanceError } from '../validation/errors';
import { invalid } from '../validation/invalid';

import { refusalOf } from './refusal';
import { syncFile } from './syncFile';
import { removeLeftovers, temporaryBeside } from './temporary';

/**
 * Writes a file atomically: whoever opens `path` sees the old content or all of the new one, also after a crash
 * (the bytes are synced before the rename) and when `signal` aborts in the middle.
 *
 * @throws OUTPUT_UNWRITABLE with the reason: folder missing, path is a folder, no permission, read-only, disk full.
 *   ABORT_ERR. Nothing is left behind then.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
  const place = resolve(path);
  const temporary = temporaryBeside(place);
  await refuseFolder(place, path);
  await removeLeftovers(place);
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(bytes, { signal });
      await syncFile(file);
    } finally {
      await file.close();
    }
    if (signal?.aborted) throw new AbortError(signal.reason);
    await rename(temporary, place);
  } catch (cause) {
    await unlink(temporary).catch(() => undefined);
    if (signal?.aborted) throw new AbortError(signal.reason);
    throw unwritable(path, cause);
  }
}

/**
 * Says before a long computation what would only fail after it: makes an empty file beside `path`, and removes it. The
 * size of what will be written, and the space for that, are not known yet.
 *
 * @throws OUTPUT_UNWRITABLE
 */
export async function checkWritable(path: string): Promise<void> {
  const place = resolve(path);
  await refuseFolder(place, path);
  const folder = await stat(dirname(place)).catch((cause: unknown) => {
    throw unwritable(path, cause);
  });
  if (!folder.isDirectory()) throw unwritable(path, { code: 'ENOTDIR' });
  const temporary = temporaryBeside(place);
  try {
    await (await open(temporary, 'wx')).close();
    await unlink(temporary);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/** A path as text. @throws BAD_OPTION for what is neither a text nor a file: URL */
export function pathOf(place: unknown, name: string, expected: string): string {
  try {
    // By its shape: `instanceof` fails for a URL of another realm.
    const url = typeof place === 'object' && place !== null && 'href' in place ? new URL(String(place.href)) : null;
    const path = url ? fileURLToPath(url) : place;
    if (typeof path === 'string' && path !== '' && !path.includes('\0')) return path;
  } catch {
    // Of another scheme or host.
  }
  throw invalid(name, `${expected} as a text, or a file: URL`, place);
}

async function refuseFolder(place: string, path: string): Promise<void> {
  const status = await stat(place).catch((cause: NodeJS.ErrnoException) => {
    // What is written first has a shorter name.
    if (cause.code === 'ENAMETOOLONG') throw unwritable(path, cause);
    return null;
  });
  if (status?.isDirectory()) throw unwritable(path, { code: 'EISDIR' });
}

/** What would have been written, by what the file system said. */
const expectations: Readonly<Record<string, string>> = {
  ENOENT: 'a file name in a folder that exists',
  ENOTDIR: 'a file name in a folder that exists',
  EISDIR: 'a file name, not a folder',
  EACCES: 'a folder that this user may write to',
  EPERM: 'a folder that this user may write to',
  EROFS: 'a folder on a file system that can be written to',
  ENOSPC: 'a disk with space for the file',
  EDQUOT: 'a disk with space for the file',
  ENAMETOOLONG: 'a shorter file name',
};

/** The error for what the file system said. */
export function unwritable(path: string, cause: unknown): DetailGuidanceError {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  const folder = dirname(resolve(path));
  const reason = refusalOf(cause, {
    // A folder that is there and still answers so holds no ordinary files: /proc.
    ENOENT: existsSync(folder) ? `no file can be made in ${folder}` : `the folder ${folder} does not exist`,
    ENOTDIR: `${folder} is not a folder`,
    EISDIR: 'that is a folder',
  });
  return new DetailGuidanceError('OUTPUT_UNWRITABLE', `${path} cannot be written: ${reason}.`, {
    received: code,
    expected: expectations[code ?? ''] ?? 'a file name in a folder that this user may write to',
    cause,
  });
}
