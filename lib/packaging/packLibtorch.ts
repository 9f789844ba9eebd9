/** Gathers the part of libtorch that an application has to ship. */
import { copyFile, mkdir, open, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { checkNewFolder, writeNewFolder, writeSynced } from '../files/newFolder';
import type { Libtorch } from '../files/libtorch';
import { setup } from '../files/setup';
import { syncFile } from '../files/syncFile';
import { describedBy } from '../validation/describedBy';
import { AbortError, DetailGuidanceError } from '../validation/errors';
import { invalid } from '../validation/invalid';
import { parse } from '../validation/parse';
import { abortSignal, callback, strictObject, text } from '../validation/vocabulary';

import { findLibraries, type Library } from './libraries';
import { copyLicences } from './licences';

/** What `packLibtorch` tells. */
export interface PackProgress {
  /** The library that was copied. */
  name: string;
  /** Bytes that are done. */
  done: number;
  /** Bytes of all libraries. */
  total: number;
}

/** What `packLibtorch` takes. */
export interface PackOptions {
  /** Called after every library. */
  onProgress?: (event: PackProgress) => unknown;
  /** Ends it between two libraries; nothing is left behind then. */
  signal?: AbortSignal;
}

/** A library that was packed. */
export interface PackedLibrary {
  /** Its file's name, in the folder's `lib`. */
  name: string;
  /** Its size. */
  bytes: number;
}

/** What was packed. */
export interface PackedLibtorch {
  /** Absolute path of the folder. */
  folder: string;
  /** Of libtorch, such as `2.11.0`. */
  version: string;
  /** CUDA version it was built with; null for a CPU build. */
  cuda: string | null;
  /** The libraries, the largest first. */
  libraries: PackedLibrary[];
  /** Of all of them. */
  bytes: number;
  /** Names of libraries that the user's system has to have: none for PyTorch's own builds. */
  system: string[];
}

const optionsSchema = describedBy<PackOptions>()(
  strictObject({
    onProgress: callback<PackProgress>().optional(),
    signal: abortSignal().optional(),
  }),
);

/**
 * Copies what an application has to ship of the libtorch that the addon runs with (docs/libtorch.md says which that is;
 * `LIBTORCH` names another): the libraries that are in memory once the addon is loaded, and of a CUDA build those that a
 * GPU makes it load besides. Headers, Python and static libraries stay behind. `LIBTORCH=folder`, or the name `libtorch`
 * among an Electron application's resources, and the addon runs with it; that is tried before the folder appears.
 *
 * @param folder that does not exist or is empty; it appears whole or not at all
 * @throws BAD_OPTION; OUTPUT_EXISTS for a folder with something in it; OUTPUT_UNWRITABLE, also where it does not fit on the
 *   disk; ADDON_NOT_BUILT, LIBTORCH_NOT_FOUND, LIBTORCH_MISMATCH; ABORT_ERR
 */
export async function packLibtorch(folder: string, options: PackOptions = {}): Promise<PackedLibtorch> {
  const out = resolve(parse(text('the path of a folder'), folder, 'The folder'));
  const { onProgress, signal } = parse(optionsSchema, options, 'options');
  if (signal?.aborted) throw new AbortError(signal.reason);
  await refuseFull(out);
  await checkNewFolder(out, { mayBeEmpty: true });
  const { libtorch, libraries, system } = await findLibraries();
  const total = libraries.reduce((sum, { bytes }) => sum + bytes, 0);
  refuseShortDisk(out, total);
  let done = 0;
  await writeNewFolder(
    out,
    async (place) => {
      await mkdir(join(place, 'lib'));
      for (const { path, name, bytes } of libraries) {
        if (signal?.aborted) throw new AbortError(signal.reason);
        await copySynced(path, join(place, 'lib', name));
        done += bytes;
        await onProgress?.({ name, done, total });
      }
      await writeSynced(join(place, 'version.py'), versionFile(libtorch));
      await copyLicences(libtorch, join(place, 'licences'));
      await tryOut(place, libraries);
      if (signal?.aborted) throw new AbortError(signal.reason);
    },
    { mayBeEmpty: true },
  );
  return {
    folder: out,
    version: libtorch.version,
    cuda: libtorch.cuda,
    libraries: libraries.map(({ name, bytes }) => ({ name, bytes })).sort((a, b) => b.bytes - a.bytes),
    bytes: total,
    system,
  };
}

async function refuseFull(out: string): Promise<void> {
  const status = await stat(out).catch(() => null);
  const shown = status && !status.isDirectory() ? 'a file' : 'one with something in it';
  if (!status || (status.isDirectory() && (await readdir(out)).length === 0)) return;
  throw invalid(out, 'a folder that does not exist or is empty', out, { code: 'OUTPUT_EXISTS', shown });
}

function refuseShortDisk(out: string, total: number): void {
  const free = setup('cache').freeBytes(out);
  if (free === null || free > total) return;
  const [needed, there] = [total, free].map((bytes) => (bytes / 1e9).toFixed(2));
  throw new DetailGuidanceError(
    'OUTPUT_UNWRITABLE',
    `${out} cannot be written: expected ${needed} GB free on its disk, received ${there} GB.`,
    { received: free, expected: `${needed} GB free` },
  );
}

/** What setup/libtorch.cjs reads of a wheel. */
function versionFile({ version, cuda }: Libtorch): string {
  return `__version__ = '${version}'\n${cuda === null || cuda === 'unknown' ? '' : `cuda = '${cuda}'\n`}`;
}

async function copySynced(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const file = await open(to, 'r+');
  try {
    await syncFile(file);
  } finally {
    await file.close();
  }
}

/** Loads the addon with the copy, in a process that knows no other libtorch, and says where it had to look elsewhere. */
async function tryOut(place: string, packed: readonly Library[]): Promise<void> {
  const env: NodeJS.ProcessEnv = { ...process.env, LIBTORCH: place };
  for (const name of ['LIBTORCH_LIB', 'LIBTORCH_INCLUDE', 'LD_LIBRARY_PATH']) delete env[name];
  const { libraries, system } = await findLibraries(env);
  const missing = packed.find(
    ({ name }) => system.includes(name) || !libraries.some((library) => library.name === name),
  );
  if (!missing) return;
  throw new DetailGuidanceError(
    'LIBTORCH_NOT_FOUND',
    `The packed libtorch does not find its own ${missing.name}: this libtorch cannot be shipped by itself.`,
    { received: missing.name },
  );
}
