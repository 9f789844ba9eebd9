/** The bytes of an open file onto the disk. */
import { fsync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';

const sync = promisify(fsync);

/**
 * Yarn's Plug'n'Play has a file system of its own, without `FileHandle.sync`. Node's permission model refuses `fsync`, since
 * Node 26 both: the system then writes when it likes, and a power cut may take what was renamed before.
 */
export async function syncFile(file: FileHandle): Promise<void> {
  if (!('permission' in process)) return sync(file.fd);
  await file.sync().catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ERR_ACCESS_DENIED') throw error;
  });
}
