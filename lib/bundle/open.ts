/** Opens a bundle: reads and validates `bundle.json`, and checks every file it lists before anything is loaded. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, posix, relative, resolve, sep, win32 } from 'node:path';

import { AbortError, DetailGuidanceError } from '../validation/errors';
import { invalid, reasonOf } from '../validation/invalid';
import { parse } from '../validation/parse';
import { packageRoot } from '../files/packageRoot';

import { findDisagreement } from './consistency';
import { readRanking } from './ranking';
import type { BundleManifest } from './manifest';
import { bundleSchema } from './schema';

export interface Bundle extends BundleManifest {
  /** Absolute path of the bundle's folder. */
  readonly folder: string;
  /** For each layer, its channels by measured strength, the strongest first; null where the bundle does not say. */
  readonly ranking: ReadonlyMap<number, readonly number[]> | null;
  /** Absolute path of one of the bundle's files. */
  path(file: string): string;
}

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
): Promise<Bundle> {
  if (typeof location !== 'string' || location === '') {
    throw invalid('The bundle', "a folder with a bundle.json, or 'embedded'", location);
  }
  const folder = await findFolder(location);
  const manifest = await readManifest(folder);
  beforeReading?.(manifest);
  for (const file of Object.keys(manifest.files)) await checkFile(folder, file, manifest.files[file]!, signal);
  const ranking = await readRanking(folder, manifest);
  return { ...manifest, folder, ranking, path: (file) => join(folder, file) };
}

async function findFolder(location: string): Promise<string> {
  const place = location === 'embedded' ? join(packageRoot(), 'models', 'embedded') : resolve(location);
  const folder = place.endsWith(`${sep}bundle.json`) ? resolve(place, '..') : place;
  const found = await stat(folder).catch(() => null);
  if (!found?.isDirectory()) {
    const state = found ? 'is not a folder' : 'does not exist';
    throw invalid('The bundle', "a folder with a bundle.json, or 'embedded'", location, {
      code: 'BUNDLE_NOT_FOUND',
      note: `${folder} ${state}`,
    });
  }
  return realpath(folder);
}

async function readManifest(folder: string): Promise<BundleManifest> {
  const path = join(folder, 'bundle.json');
  const bytes = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw invalid(folder, 'a folder with a bundle.json', undefined, {
      code: 'BUNDLE_NOT_FOUND',
      shown: 'one without',
      note: reasonOf(cause),
      cause,
    });
  });
  let json: unknown;
  try {
    json = JSON.parse(bytes);
  } catch (cause) {
    throw invalid(path, 'JSON', undefined, {
      code: 'BUNDLE_INVALID',
      shown: 'other text',
      note: reasonOf(cause),
      cause,
    });
  }
  const manifest = parse(bundleSchema, json, 'bundle.json', 'BUNDLE_INVALID');
  const disagreement = findDisagreement(manifest);
  if (disagreement) {
    const [key, sentence] = disagreement;
    throw new DetailGuidanceError('BUNDLE_INVALID', `bundle.json.${key} ${sentence}.`, { received: key });
  }
  return manifest;
}

async function checkFile(
  folder: string,
  file: string,
  { sha256, bytes }: BundleManifest['files'][string],
  signal?: AbortSignal,
): Promise<void> {
  const path = await resolveInside(folder, file);
  const { size } = await stat(path);
  if (size !== bytes) {
    throw invalid(`The bundle's file ${file}`, `${bytes} bytes`, size, {
      code: 'BUNDLE_CHECKSUM',
      note: size < bytes ? 'it is truncated' : 'it has been altered',
    });
  }
  const found = await hash(path, signal);
  if (found !== sha256) {
    throw invalid(`The bundle's file ${file}`, `the sha256 ${sha256}`, found, {
      code: 'BUNDLE_CHECKSUM',
      shown: found,
      note: 'it has been altered',
    });
  }
}

/** The real path of a bundle's file, which must lie inside the folder, links followed. */
async function resolveInside(folder: string, file: string): Promise<string> {
  const parts = file.split(/[\\/]/);
  if (posix.isAbsolute(file) || win32.isAbsolute(file) || /^[A-Za-z]:/.test(file) || parts.includes('..')) {
    throw outside(file, 'its path leaves the folder');
  }
  const path = await realpath(join(folder, file)).catch((cause: unknown) => {
    throw invalid(`The bundle's file ${file}`, `a file in ${folder}`, undefined, { code: 'BUNDLE_NOT_FOUND', cause });
  });
  const below = relative(folder, path);
  if (below.startsWith('..') || isAbsolute(below)) throw outside(file, 'it is a link to somewhere else');
  if (!(await stat(path)).isFile()) throw outside(file, 'it is not a regular file');
  return path;
}

function outside(file: string, why: string): DetailGuidanceError {
  return invalid('bundle.json.files', "files inside the bundle's folder", file, { code: 'BUNDLE_INVALID', note: why });
}

async function hash(path: string, signal?: AbortSignal): Promise<string> {
  const digest = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    if (signal?.aborted) throw new AbortError(signal.reason);
    digest.update(chunk as Buffer);
  }
  return digest.digest('hex');
}
