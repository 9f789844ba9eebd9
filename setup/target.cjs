'use strict';
// What a build makes, where, from what, and whether it is there already. Only looks: set-up's plan and the build decide
// by the same answer.

const fs = require('node:fs');
const path = require('node:path');
const { SOURCES, cachedBuild, isComplete, prebuiltFolder } = require('./addon.cjs');
const { root, buildFolder, fingerprint, hasStamp, isRepository } = require('./cache.cjs');

/**
 * Whether the build goes into the cache, where it serves every project: that of an installed package, unless
 * DETAIL_GUIDANCE_BUILD names a folder.
 */
const isCached = () => !isRepository && !process.env.DETAIL_GUIDANCE_BUILD;

/** Whether a prebuilt addon may turn out to fit, whatever libtorch there will be. @param {boolean} prebuilt as asked */
const mayBePrebuilt = (prebuilt) => prebuilt && isCached() && fs.existsSync(path.join(root, 'prebuilds'));

/**
 * @param {import('./libtorch.cjs').Libtorch} libtorch
 * @param {boolean} prebuilt as asked
 * @returns {string | null} folder of the prebuilt addon that fits
 */
function fittingPrebuilt(libtorch, prebuilt) {
  if (!mayBePrebuilt(prebuilt)) return null;
  const folder = prebuiltFolder(libtorch);
  return isComplete(folder) ? folder : null;
}

/**
 * @typedef {object} Stamp
 * @property {string} file
 * @property {string} digest of the sources and of what they are built with
 *
 * @typedef {object} Target
 * @property {string} folder of the build
 * @property {string} output folder of the addon
 * @property {string} cmakeFolder CMake's own files, and the C++ tests
 * @property {boolean} isCached
 * @property {import('./nvcc.cjs').Nvcc} nvcc
 * @property {Stamp[]} stamps what is written after the build
 * @property {boolean} isThere
 */

/**
 * @param {import('./libtorch.cjs').Libtorch} libtorch
 * @param {import('./nvcc.cjs').Nvcc} nvcc
 * @param {{ tests?: boolean }} [options] `tests`: the C++ tests too
 * @returns {Target}
 */
function targetOf(libtorch, nvcc, { tests = false } = {}) {
  const cached = isCached();
  const folder = cached ? cachedBuild() : buildFolder();
  const facts = [libtorch, nvcc, process.env.CXX ?? null, process.env.DETAIL_GUIDANCE_CUDA_ARCHITECTURES ?? null];
  // A folder in the cache serves every project that has these very sources.
  if (!cached) facts.push(root);
  /** @param {string} name @param {string[]} sources */
  const stamp = (name, sources) => ({
    file: path.join(folder, 'stamps', name),
    digest: fingerprint(sources, facts),
  });
  const addon = stamp('native', SOURCES);
  const whole = tests ? stamp('native-and-tests', [...SOURCES, 'test/native']) : addon;
  const output = path.join(folder, 'Release');
  return {
    folder,
    output,
    cmakeFolder: path.join(folder, 'cmake'),
    isCached: cached,
    nvcc,
    stamps: [whole, addon],
    isThere: isComplete(output) && hasStamp(whole.file, whole.digest),
  };
}

module.exports = { isCached, mayBePrebuilt, fittingPrebuilt, targetOf };
