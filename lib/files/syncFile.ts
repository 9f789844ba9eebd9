/** The bytes of an open file onto the disk. */
import { fsync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';

const sync = promisify(fsync);

/** As `FileHandle.sync`, which Yarn's Plug'n'Play puts aside: its own file system has none. */
export const syncFile = (file: FileHandle): Promise<void> => sync(file.fd);
