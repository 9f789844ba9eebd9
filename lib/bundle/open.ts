/** Opens a bundle: reads and validates `bundle.json`, and checks every file it lists before anything is loaded. */
import { realpath, stat } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';

import { DetailGuidanceError } from '../validation/errors';
import { invalid, reasonOf } from '../validation/invalid';
import { parse } from '../validation/parse';
import { packageRoot } from '../files/packageRoot';
import { requireUnpacked } from '../files/unpacked';

import { requireConsistency } from './consistency';
import { isBlobOf, isNamedAfter, placeOf, refused } from './place';
import { readRanking } from './ranking';
import type { Bundle, BundleDescription } from './bundle';
import type { BundleManifest } from './manifest';
import { bundleSchema } from './schema';
import { readSealed, seal, withRegularFile, type Checksum, type SealedFile } from './sealed';

/** An open bundle, as the rest of the library has it. */
export interface OpenBundle extends BundleManifest, Omit<Bundle, keyof BundleDescription> {
  /**
   * One of the bundle's files for the native side, which loads no other one in its place. A file that was touched since
   * its checksum was compared is compared again.
   *
   * @throws BUNDLE_NOT_FOUND, BUNDLE_INVALID, BUNDLE_CHECKSUM, ABORT_ERR
   */
  sealed(file: string, signal?: AbortSignal): Promise<SealedFile>;
}

/** All that is known of a bundle, from what a user of the library sees of it: they are one object. */
export const opened = (bundle: Bundle) => bundle as OpenBundle;

/**
 * Opens the bundle in a folder, or the one that comes with this package.
 *
 * @param location path of the folder (or of the `bundle.json` in it), or `'embedded'`
 * @param beforeReading is given what `bundle.json` says before the files are read for their checksums
 * @throws BUNDLE_NOT_FOUND when the folder, its `bundle.json` or a listed file is missing; BUNDLE_INVALID when
 *   `bundle.json` is not what format 1 asks for, or a path leaves the folder; BUNDLE_CHECKSUM when a file is
 *   truncated, longer or altered; ABORT_ERR; what `beforeReading` throws
 */
export async function openBundle(
  location: string,
  signal?: AbortSignal,
  beforeReading?: (manifest: BundleManifest) => void,
): Promise<OpenBundle> {
  if (typeof location !== 'string' || location === '') {
    throw invalid('The bundle', "a folder with a bundle.json, or 'embedded'", location);
  }
  const folder = await findFolder(location);
  const manifest = await readManifest(folder);
  beforeReading?.(manifest);
  const sealed = new Map<string, SealedFile>();
  for (const [file, checksum] of Object.entries(manifest.files)) {
    sealed.set(file, await sealFile(folder, file, checksum, signal));
  }
  const read = (file: string) => readFile(folder, file, manifest.files[file]!);
  return {
    ...manifest,
    folder,
    ranking: await readRanking(manifest, read),
    path: (file) => join(folder, file),
    read,
    sealed: async (file, again) => {
      const checked = await sealAgain(folder, file, manifest.files[file]!, sealed.get(file)!, again);
      sealed.set(file, checked);
      return checked;
    },
  };
}

async function findFolder(location: string): Promise<string> {
  const place = location === 'embedded' ? join(packageRoot(), 'models', 'embedded') : resolve(location);
  const named = place.endsWith(`${sep}bundle.json`) ? resolve(place, '..') : place;
  const folder = requireUnpacked(named, 'The bundle', 'BUNDLE_NOT_FOUND');
  const status = await stat(folder).catch(() => null);
  if (!status?.isDirectory()) {
    const state = status ? 'is not a folder' : 'does not exist';
    throw invalid('The bundle', "a folder with a bundle.json, or 'embedded'", location, {
      code: 'BUNDLE_NOT_FOUND',
      note: `${folder} ${state}`,
    });
  }
  return realpath(folder);
}

/** More than the longest list of files and labels takes. */
const mostManifestBytes = 64 << 20;

async function readManifest(folder: string): Promise<BundleManifest> {
  const path = join(folder, 'bundle.json');
  const missing = (note: string | undefined, cause?: unknown) =>
    invalid(folder, 'a folder with a bundle.json', undefined, {
      code: 'BUNDLE_NOT_FOUND',
      shown: 'one without',
      ...(note === undefined ? {} : { note }),
      cause,
    });
  const place = await placeOf(folder, 'bundle.json').catch((error: DetailGuidanceError) => {
    if (error.code === 'BUNDLE_NOT_FOUND') throw missing(reasonOf(error.cause), error);
    throw missing('it is a link out of the folder');
  });
  const bytes = await withRegularFile(
    place,
    () => missing('it is not a regular file'),
    async (handle) => {
      if ((await handle.stat()).size > mostManifestBytes) throw missing(`it is larger than ${mostManifestBytes} bytes`);
      return handle.readFile();
    },
  ).catch((error: unknown) => {
    throw error instanceof DetailGuidanceError ? error : missing(reasonOf(error), error);
  });
  // It has no checksum in a bundle.json; in the cache, the name it is stored under is one.
  if (isBlobOf(folder, place) && !isNamedAfter(place, bytes)) {
    throw invalid(path, 'a link to a blob that is named after its checksum', place, {
      code: 'BUNDLE_CHECKSUM',
      note: 'download the bundle again',
    });
  }
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw invalid(path, 'JSON', undefined, {
      code: 'BUNDLE_INVALID',
      shown: 'other text',
      note: reasonOf(cause),
      cause,
    });
  }
  requireShallow(json, path);
  const manifest = parse(bundleSchema, json, 'bundle.json', 'BUNDLE_INVALID');
  requireConsistency(manifest);
  return manifest;
}

/** Lists and objects within each other: what reads expressions calls itself for each. */
const mostNested = 64;

/** @throws BUNDLE_INVALID */
function requireShallow(json: unknown, path: string): void {
  let level = [json];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > mostNested) {
      throw invalid(path, `at most ${mostNested} lists and objects within each other`, undefined, {
        code: 'BUNDLE_INVALID',
        shown: 'more',
      });
    }
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []));
  }
}

/** @throws BUNDLE_NOT_FOUND, BUNDLE_INVALID, BUNDLE_CHECKSUM, ABORT_ERR */
async function sealFile(folder: string, file: string, checksum: Checksum, signal?: AbortSignal): Promise<SealedFile> {
  const path = await placeOf(folder, file);
  return withRegularFile(
    path,
    () => refused(file, 'it is not a regular file'),
    async (handle, identity) => {
      await seal(handle, identity, file, checksum, signal);
      return { path, identity };
    },
  ).catch(asTyped(file));
}

async function readFile(folder: string, file: string, checksum: Checksum): Promise<Buffer> {
  return withRegularFile(
    await placeOf(folder, file),
    () => refused(file, 'it is not a regular file'),
    (handle) => readSealed(handle, file, checksum),
  ).catch(asTyped(file));
}

/** The same file as it was when it was compared, or another one that fits the checksum as well. */
async function sealAgain(
  folder: string,
  file: string,
  checksum: Checksum,
  known: SealedFile,
  signal?: AbortSignal,
): Promise<SealedFile> {
  const path = await placeOf(folder, file);
  const identity = await withRegularFile(
    path,
    () => refused(file, 'it is not a regular file'),
    (_, identity) => Promise.resolve(identity),
  ).catch(asTyped(file));
  const isSame = path === known.path && identity === known.identity && identity !== '';
  return isSame ? known : sealFile(folder, file, checksum, signal);
}

/** What the file system says of a listed file, in the words of a bundle. */
const asTyped = (file: string) => (error: unknown) => {
  if (error instanceof DetailGuidanceError) throw error;
  throw invalid(`The bundle's file ${file}`, 'a file that can be read', undefined, {
    code: 'BUNDLE_NOT_FOUND',
    shown: 'none',
    note: reasonOf(error),
    cause: error,
  });
};
