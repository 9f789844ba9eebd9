/** Names for what is written beside its place, and the end of those that a killed process left. */
import { randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const suffix = '.detail-guidance-tmp';

/** Nothing is written to for so long and still being written. */
const leftMilliseconds = 24 * 3600 * 1000;

/** Folders that this process has looked through. */
const cleaned = new Set<string>();

/**
 * Another name beside `place`, for a file or folder that is renamed onto it when it is whole: a rename is only atomic
 * within one file system.
 */
export function temporaryBeside(place: string): string {
  // A part of the name alone: file systems take 255 bytes, which a name may have by itself.
  return join(dirname(place), `.${basename(place).slice(0, 40)}.${randomBytes(6).toString('hex')}${suffix}`);
}

/** Whether a file or folder has such a name. */
export const isTemporary = (name: string): boolean => name.startsWith('.') && name.endsWith(suffix);

/** Removes what lies beside `place` under such names since a day and more. Once for each folder; never fails. */
export async function removeLeftovers(place: string): Promise<void> {
  const folder = dirname(place);
  if (cleaned.has(folder)) return;
  cleaned.add(folder);
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(isTemporary)) {
    const path = join(folder, name);
    const status = await stat(path).catch(() => null);
    if (!status || Date.now() - status.mtimeMs < leftMilliseconds) continue;
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}
