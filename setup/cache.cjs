'use strict';
// Where set-up keeps what it makes, and the fingerprints that tell whether a step has to run again.

const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');

/** A clone of the repository, and not the published package, which has no scripts/. */
const isRepository = fs.existsSync(path.join(root, 'scripts', 'run.cjs'));

/**
 * The project's cache folder: `DETAIL_GUIDANCE_CACHE`, else the platform's usual place.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string}
 */
function cacheFolder(env = process.env) {
  if (env.DETAIL_GUIDANCE_CACHE) return path.resolve(env.DETAIL_GUIDANCE_CACHE);
  const home = env.HOME || os.homedir();
  if (env.XDG_CACHE_HOME) return path.join(env.XDG_CACHE_HOME, 'detail-guidance');
  if (process.platform === 'darwin') return path.join(home, 'Library', 'Caches', 'detail-guidance');
  if (process.platform === 'win32') {
    return path.join(env.LOCALAPPDATA || path.join(home, 'AppData', 'Local'), 'detail-guidance');
  }
  return path.join(home, '.cache', 'detail-guidance');
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
    const { bavail, bsize } = fs.statfsSync(existing);
    return bavail * bsize;
  } catch {
    return null;
  }
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
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  fs.writeFileSync(temporary, `${value}\n`);
  fs.renameSync(temporary, file);
}

module.exports = {
  root,
  isRepository,
  cacheFolder,
  buildFolder,
  freeBytes,
  isWritable,
  listFiles,
  fingerprint,
  hasStamp,
  writeStamp,
};
