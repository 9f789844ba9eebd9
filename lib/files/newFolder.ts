/** Folders that appear whole or not at all: filled beside their place under another name, then renamed onto it. */
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { AbortError, DetailGuidanceError } from '../validation/errors';

import { setup } from './setup';
import { refusalOf } from './refusal';
import { syncFile } from './syncFile';
import { removeLeftovers, temporaryBeside } from './temporary';

export interface NewFolderOptions {
  /** The folder may be there already, with nothing in it. Default false. */
  mayBeEmpty?: boolean;
}

/**
 * Says before a long computation what would only fail after it: makes an empty folder beside `out`, and removes it.
 *
 * @throws OUTPUT_EXISTS; OUTPUT_UNWRITABLE when nothing can be made in the folder that it would be in
 */
export async function checkNewFolder(out: string, { mayBeEmpty = false }: NewFolderOptions = {}): Promise<void> {
  const place = resolve(out);
  const status = await stat(place).catch((cause: NodeJS.ErrnoException) => {
    // What is made first has a shorter name.
    if (cause.code === 'ENAMETOOLONG') throw folderUnwritable(out, cause);
    return null;
  });
  const isEmpty = mayBeEmpty && status?.isDirectory() && (await readdir(place)).length === 0;
  if (status && !isEmpty) throw folderUnwritable(out, { code: 'EEXIST' });
  const above = await stat(dirname(place)).catch((cause: unknown) => {
    throw folderUnwritable(out, cause);
  });
  if (!above.isDirectory()) throw folderUnwritable(out, { code: 'ENOTDIR' });
  const temporary = temporaryBeside(place);
  try {
    await mkdir(temporary);
    await rmdir(temporary);
  } catch (cause) {
    throw folderUnwritable(out, cause);
  }
}

/**
 * Makes a folder.
 *
 * @param out a folder that does not exist, in one that does
 * @param fill writes into the folder it is given
 * @throws OUTPUT_EXISTS, OUTPUT_UNWRITABLE, ABORT_ERR, and what `fill` throws for another reason; nothing is left behind then
 */
export async function writeNewFolder(
  out: string,
  fill: (folder: string) => Promise<void>,
  options: NewFolderOptions = {},
): Promise<string> {
  await checkNewFolder(out, options);
  const place = resolve(out);
  await removeLeftovers(place);
  const temporary = temporaryBeside(place);
  try {
    await mkdir(temporary);
    await fill(temporary);
    await rename(temporary, place);
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true });
    throw isOfFiles(cause) ? folderUnwritable(out, cause) : cause;
  }
  return place;
}

/** Whether the file system refused something: its errors name the system's call. */
export const isOfFiles = (cause: unknown): boolean => (cause as NodeJS.ErrnoException | null)?.syscall !== undefined;

/**
 * Makes a folder that may be there already, and those above it.
 *
 * @throws OUTPUT_UNWRITABLE
 */
export function makeFolder(folder: string): void {
  try {
    setup('cache').makeFolder(folder);
  } catch (cause) {
    const isFile = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    throw folderUnwritable(folder, isFile ? { code: 'ENOTDIR' } : cause, 'a folder that this user may write to');
  }
}

/** Writes a file of such a folder, synced, so that the rename does not come before its bytes. */
export async function writeSynced(path: string, content: Uint8Array | string, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) throw new AbortError(signal.reason);
  const file = await open(path, 'wx');
  try {
    await file.writeFile(content);
    await syncFile(file);
  } finally {
    await file.close();
  }
}

const existing = 'it exists already';

/** The error for what the file system said of a folder to be made. */
export function folderUnwritable(
  out: string,
  cause: unknown,
  expected = 'a folder that does not exist, in one that does',
): DetailGuidanceError {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  const above = dirname(resolve(out));
  const reason = refusalOf(cause, {
    EEXIST: existing,
    ENOTEMPTY: existing,
    // A folder that is there and still answers so holds none: /proc.
    ENOENT: existsSync(above) ? `no folder can be made in ${above}` : `the folder ${above} does not exist`,
    ENOTDIR: `${existsSync(out) ? out : above} is not a folder`,
  });
  const kind = reason === existing ? 'OUTPUT_EXISTS' : 'OUTPUT_UNWRITABLE';
  return new DetailGuidanceError(kind, `The folder ${out} cannot be written: ${reason}.`, {
    received: code,
    expected,
    cause,
  });
}
