'use strict';
// Where set-up keeps what it makes, and the fingerprints that tell whether a step has to run again.

const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { SetupError } = require('./failure.cjs');

const root = path.resolve(__dirname, '..');

/** A clone of the repository, and not the published package, which has no scripts/. */
const isRepository = fs.existsSync(path.join(root, 'scripts', 'run.cjs'));

/**
 * The home folder: `HOME`, else the one that the system has of this user. Never a relative path, as an empty `HOME` gives.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string}
 */
function homeFolder(env) {
  let home = env.HOME;
  try {
    home ||= os.userInfo().homedir;
  } catch {
    // A container's user of a number alone.
  }
  if (home && path.isAbsolute(home)) return home;
  throw new SetupError('There is no home folder for the cache.', {
    waysOut: ['DETAIL_GUIDANCE_CACHE=/elsewhere names a folder for it that this user may write to'],
  });
}

/**
 * The project's cache folder: `DETAIL_GUIDANCE_CACHE`, else the platform's usual place.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string}
 * @throws {SetupError} where this user has no home folder
 */
function cacheFolder(env = process.env) {
  if (env.DETAIL_GUIDANCE_CACHE) return path.resolve(env.DETAIL_GUIDANCE_CACHE);
  // A relative one is to be ignored, says the specification: it would be another folder in every folder.
  if (env.XDG_CACHE_HOME && path.isAbsolute(env.XDG_CACHE_HOME))
    return path.join(env.XDG_CACHE_HOME, 'detail-guidance');
  const home = homeFolder(env);
  if (process.platform === 'darwin') return path.join(home, 'Library', 'Caches', 'detail-guidance');
  if (process.platform === 'win32') {
    return path.join(env.LOCALAPPDATA || path.join(home, 'AppData', 'Local'), 'detail-guidance');
  }
  return path.join(home, '.cache', 'detail-guidance');
}

/**
 * The cache folder for a look at what is there; null where this user has none.
 * @param {NodeJS.ProcessEnv} [env]
 */
function findCacheFolder(env = process.env) {
  try {
    return cacheFolder(env);
  } catch {
    return null;
  }
}

/**
 * The folder of the native build: `DETAIL_GUIDANCE_BUILD`, else `build` in the package. The addon, `preload.node` and
 * `build-info.json` are in its `Release`, CMake's own files and the C++ tests in its `cmake`.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string}
 */
function buildFolder(env = process.env) {
  return env.DETAIL_GUIDANCE_BUILD ? path.resolve(env.DETAIL_GUIDANCE_BUILD) : path.join(root, 'build');
}

/**
 * Free bytes where `folder` is or would be made; null where the platform does not say.
 * @param {string} folder
 * @returns {number | null}
 */
function freeBytes(folder) {
  let existing = path.resolve(folder);
  while (!fs.existsSync(existing) && path.dirname(existing) !== existing) existing = path.dirname(existing);
  try {
    const { blocks, bavail, bsize } = fs.statfsSync(existing);
    // Of a file system that has no blocks at all, such as /proc, nothing is said by it.
    return blocks === 0 ? null : bavail * bsize;
  } catch {
    return null;
  }
}

/**
 * @param {string} what takes the room, as the sentence begins
 * @param {number} gigabytes about
 * @param {{ folder?: string, waysOut?: string[] }} [options] `folder`: the cache folder unless it is another
 * @throws {SetupError} where there is less
 */
function requireRoom(what, gigabytes, { folder = cacheFolder(), waysOut = [] } = {}) {
  const free = freeBytes(folder);
  if (free === null || free >= gigabytes * 1e9) return;
  throw new SetupError(
    `${what} needs about ${gigabytes} GB, and ${(free / 1e9).toFixed(2)} GB are free in ${folder}.`,
    {
      waysOut: ['DETAIL_GUIDANCE_CACHE=/elsewhere puts the cache on a disk that has room', ...waysOut],
    },
  );
}

/**
 * Whether this user may write into a folder.
 * @param {string} folder
 */
function isWritable(folder) {
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * As `mkdir -p`. Node's own never ends where a folder that is there answers ENOENT for what is to be made in it: /proc.
 * @param {string} folder
 * @throws {NodeJS.ErrnoException}
 */
function makeFolder(folder) {
  const status = fs.statSync(folder, { throwIfNoEntry: false });
  if (status?.isDirectory()) return;
  const above = path.dirname(path.resolve(folder));
  if (!status && !fs.existsSync(above)) makeFolder(above);
  try {
    fs.mkdirSync(folder);
  } catch (error) {
    // Another process was first.
    if (!fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

/**
 * Makes the cache folder, before anything is asked of the user or fetched for it.
 * @throws {SetupError | NodeJS.ErrnoException} where this user cannot write there
 */
function makeCacheFolder() {
  const folder = cacheFolder();
  makeFolder(folder);
  fs.accessSync(folder, fs.constants.W_OK);
}

/**
 * Files under the given paths (files or folders, relative to the package), sorted, without caches.
 * @param {string[]} places
 * @param {RegExp} [pattern] of the file's name
 * @returns {string[]} relative paths
 */
function listFiles(places, pattern = /./) {
  /** @type {string[]} */
  const files = [];
  /** @param {string} relative */
  const visit = (relative) => {
    const status = fs.statSync(path.join(root, relative), { throwIfNoEntry: false });
    if (!status) return;
    if (status.isFile()) {
      if (pattern.test(path.basename(relative))) files.push(relative);
    } else if (status.isDirectory() && !/^(__pycache__|node_modules|\..+)$/.test(path.basename(relative))) {
      for (const name of fs.readdirSync(path.join(root, relative))) visit(path.join(relative, name));
    }
  };
  places.forEach(visit);
  return files.sort();
}

/**
 * One hash over the contents of files and any further facts.
 * @param {string[]} places files or folders relative to the package
 * @param {unknown[]} [facts]
 * @returns {string}
 */
function fingerprint(places, facts = []) {
  const hash = crypto.createHash('sha256').update(JSON.stringify(facts));
  for (const file of listFiles(places)) hash.update(`\0${file}\0`).update(fs.readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

/**
 * Whether the stamp file holds exactly this fingerprint.
 * @param {string} file
 * @param {string} value
 */
function hasStamp(file, value) {
  try {
    return fs.readFileSync(file, 'utf8').trim() === value;
  } catch {
    return false;
  }
}

/**
 * Writes a stamp whole or not at all.
 * @param {string} file
 * @param {string} value
 */
function writeStamp(file, value) {
  makeFolder(path.dirname(file));
  const temporary = `${file}.${process.pid}`;
  fs.writeFileSync(temporary, `${value}\n`);
  fs.renameSync(temporary, file);
}

module.exports = {
  root,
  isRepository,
  cacheFolder,
  findCacheFolder,
  buildFolder,
  freeBytes,
  requireRoom,
  isWritable,
  makeFolder,
  makeCacheFolder,
  listFiles,
  fingerprint,
  hasStamp,
  writeStamp,
};
