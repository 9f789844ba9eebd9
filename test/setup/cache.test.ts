/** Where the cache is, and when a step has to run again. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import {
  buildFolder,
  cacheFolder,
  fingerprint,
  freeBytes,
  hasStamp,
  listFiles,
  makeFolder,
  requireRoom,
  root,
  writeStamp,
} from '../../setup/cache.cjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stamps-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('the cache is where it is asked to be, else in the user cache', () => {
  expect(cacheFolder({ DETAIL_GUIDANCE_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
  expect(cacheFolder({ XDG_CACHE_HOME: '/b' })).toBe('/b/detail-guidance');
  // A relative one is none, says the XDG specification.
  if (process.platform === 'linux') expect(cacheFolder({ XDG_CACHE_HOME: 'b', HOME: '/a' })).toMatch('/a/.cache');
  if (process.platform === 'linux') expect(cacheFolder({ HOME: '/home/x' })).toBe('/home/x/.cache/detail-guidance');
});

const onLinux = process.platform === 'linux' ? test : test.skip;
onLinux.each([[undefined], ['']])('without HOME (%j) it is in the home folder that the system has', (HOME) => {
  expect(cacheFolder({ HOME })).toBe(join(userInfo().homedir, '.cache', 'detail-guidance'));
});

const asRoot = process.getuid?.() === 0 ? onLinux : test.skip;
asRoot('a user without a home folder is told to name a cache, and nothing goes into the current folder', () => {
  // Read first: that user may not be allowed to.
  const code = `const { cacheFolder } = require(${JSON.stringify(join(root, 'setup/cache.cjs'))}); process.setuid(54321);
    try { console.log(cacheFolder({})) } catch ({ code, message }) { console.log(code, message) }`;
  const { stdout } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' });
  expect(stdout).toMatch(/^SETUP_FAILED There is no home folder for the cache\.\n.*\n.*DETAIL_GUIDANCE_CACHE=/);
});

asRoot('what is there is found without a home folder, and what is missing is said as to anybody', () => {
  const modules = ['addon', 'libtorch', 'toolchain'].map((name) => JSON.stringify(join(root, `setup/${name}.cjs`)));
  const code = `const [addon, libtorch, toolchain] = [${modules.map((file) => `require(${file})`).join()}];
    process.setuid(54321);
    delete process.env.HOME;
    const env = { LIBTORCH: '/nowhere' };
    console.log(libtorch.searchLibtorch({ env: { LIBTORCH_USE_PYTORCH: '0' } }).candidates[0].reason);
    console.log(addon.findAddon(env).missing, libtorch.waysToLibtorch().length, toolchain.findBuildTools().reason);
    try { libtorch.findLibtorch({ env }) } catch ({ message }) { console.log(message) }`;
  const env = { PATH: process.env.PATH };
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8', env });
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^this user has no home folder for it\n/);
  expect(stdout).toMatch(/^libtorch was not found\.\n.*\n.*LIBTORCH \(\/nowhere\): there is no such folder/m);
});

test('the build is in the package unless DETAIL_GUIDANCE_BUILD names a folder', () => {
  expect(buildFolder({})).toBe(join(root, 'build'));
  expect(buildFolder({ DETAIL_GUIDANCE_BUILD: folder })).toBe(folder);
});

test('a stamp holds for its very fingerprint', () => {
  const stamp = join(folder, 'deep/stamp');
  expect(hasStamp(stamp, 'a')).toBe(false);
  writeStamp(stamp, 'a');
  expect(hasStamp(stamp, 'a')).toBe(true);
  expect(hasStamp(stamp, 'b')).toBe(false);
});

test('a fingerprint changes with the files and with the facts', () => {
  expect(fingerprint(['package.json'], [1])).toBe(fingerprint(['package.json'], [1]));
  expect(fingerprint(['package.json'], [1])).not.toBe(fingerprint(['package.json'], [2]));
  expect(fingerprint(['package.json'])).not.toBe(fingerprint(['package.json', 'CMakeLists.txt']));
});

test('a place that is missing has no files, and free space is known before the folder exists', () => {
  expect(listFiles(['nowhere'])).toEqual([]);
  expect(freeBytes(join(folder, 'not/yet'))).toBeGreaterThan(0);
});

test('a folder is made with those above it, and what stands in the way is said', () => {
  const deep = join(folder, 'a/b/ü c');
  makeFolder(deep);
  makeFolder(deep);
  expect(existsSync(deep)).toBe(true);
  const file = join(folder, 'file');
  writeFileSync(file, '');
  expect(() => makeFolder(file)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
  expect(() => makeFolder(join(file, 'x', 'y'))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
});

onLinux('in a folder that holds no folders of users it ends, as mkdir of Node does not', () => {
  for (const place of ['/proc/x', '/proc/x/y/z']) {
    expect(() => makeFolder(place)).toThrow(expect.objectContaining({ code: 'ENOENT', path: '/proc/x' }));
  }
});

test('room that is missing: how much is needed, how much there is, and where', () => {
  expect(() => requireRoom('All of it', 0.001, { folder })).not.toThrow();
  const tooMuch = () => requireRoom('All of it', 1e9, { folder, waysOut: ['less of it'] });
  expect(tooMuch).toThrow(/^All of it needs about 1000000000 GB, and [\d.]+ GB are free in .*stamps-/);
  expect(tooMuch).toThrow('DETAIL_GUIDANCE_CACHE=/elsewhere');
  expect(tooMuch).toThrow('less of it');
});
