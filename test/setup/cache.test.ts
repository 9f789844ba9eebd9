/** Where the cache is, and when a step has to run again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import {
  buildFolder,
  cacheFolder,
  fingerprint,
  freeBytes,
  hasStamp,
  listFiles,
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
  if (process.platform === 'linux') expect(cacheFolder({ HOME: '/home/x' })).toBe('/home/x/.cache/detail-guidance');
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
