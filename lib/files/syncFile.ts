/** The bytes of an open file onto the disk. */
import { fsync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';

const sync = promisify(fsync);

/** Yarn's Plug'n'Play has a file system of its own, without `FileHandle.sync`; Node's permission model refuses `fsync`. */
export const syncFile = (file: FileHandle): Promise<void> => ('permission' in process ? file.sync() : sync(file.fd));
