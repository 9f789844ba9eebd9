'use strict';
// `detail-guidance setup`: says what is there, what will be downloaded and how large it is, then does it.

const path = require('node:path');
const { findAddon } = require('./addon.cjs');
const { build } = require('./build.cjs');
const { findCacheFolder, makeCacheFolder } = require('./cache.cjs');
const { PINNED_CUDA, privateEnvironment, searchLibtorch, wantedVersion } = require('./libtorch.cjs');
const { fetchesNvcc, findNvcc } = require('./nvcc.cjs');
const { findPython } = require('./python.cjs');
const { choosePyTorch, refuseHopeless } = require('./pytorch.cjs');
const { fittingPrebuilt, mayBePrebuilt, targetOf } = require('./target.cjs');
const { findBuildTools, findCompiler, requireCompiler } = require('./toolchain.cjs');
const { SetupError, explain } = require('./failure.cjs');

/**
 * @typedef {object} Download
 * @property {string} name
 * @property {number} gigabytes to fetch, about
 * @property {number} disk gigabytes on disk, about
 * @property {string} reason
 *
 * @typedef {object} SetupPlan
 * @property {string | null} addon folder of the addon that is there
 * @property {string | null} prebuilt folder of the prebuilt addon that fits
 * @property {import('./libtorch.cjs').Libtorch | null} libtorch that is there
 * @property {boolean} compiles whether the addon is to be built
 * @property {string | null} compiler
 * @property {Download[]} downloads
 * @property {string | null} cache folder they go to; null where there are none and the user has no home folder
 */

/**
 * What set-up would do. Makes the private Python environment where that is needed to ask the package index.
 * @param {{ prebuilt?: boolean }} [options]
 * @returns {Promise<SetupPlan>}
 * @throws {SetupError} where it cannot succeed, before anything is downloaded
 */
async function planSetup({ prebuilt = true } = {}) {
  const { libtorch, candidates } = searchLibtorch();
  /** @type {Download[]} */
  const downloads = [];
  /** @type {import('./libtorch.cjs').Libtorch} what there will be */
  let coming;
  if (libtorch) {
    coming = libtorch;
  } else {
    refuseHopeless(candidates);
    if (!mayBePrebuilt(prebuilt)) requireCompiler();
    const { build: variant, reason, gigabytes } = await choosePyTorch();
    const name = `PyTorch, ${variant === 'cpu' ? 'CPU' : 'CUDA'} build (libtorch comes with it)`;
    downloads.push({ name, gigabytes: gigabytes.download, disk: gigabytes.disk, reason });
    coming = pinned(variant);
  }
  const fitting = fittingPrebuilt(coming, prebuilt);
  const nvcc = findNvcc(coming);
  const needsNvcc = !fitting && fetchesNvcc(coming, nvcc);
  const compiles = !fitting && (!libtorch || needsNvcc || !targetOf(libtorch, nvcc).isThere);
  if (compiles) {
    requireCompiler();
    downloads.push(...toolsToFetch());
  }
  if (needsNvcc) {
    const reason = 'compiles the CUDA kernels; DETAIL_GUIDANCE_NVCC=0 does without';
    downloads.push({ name: 'nvcc', gigabytes: 0.05, disk: 0.3, reason });
  }
  if (downloads.length) makeCacheFolder();
  return {
    addon: findAddon().folder,
    prebuilt: fitting,
    libtorch,
    compiles,
    compiler: findCompiler().path,
    downloads,
    cache: findCacheFolder(),
  };
}

/** The libtorch that set-up installs, as far as it is known before. @param {'cpu' | 'cuda'} variant */
function pinned(variant) {
  const folder = path.join(privateEnvironment(), 'torch');
  const places = { path: folder, include: folder, lib: folder };
  const cuda = variant === 'cuda' ? PINNED_CUDA : null;
  return { ...places, version: wantedVersion(), cuda, cudaInclude: cuda && folder };
}

/** @returns {Download[]} @throws {SetupError} where they cannot be fetched */
function toolsToFetch() {
  const tools = findBuildTools();
  if (tools.cmake && (tools.ninja || tools.make)) return [];
  const { reason } = findPython();
  if (reason) {
    throw new SetupError(`There is no cmake, and it cannot be fetched: ${reason}.`, {
      waysOut: ['install cmake 3.18 or newer, and ninja or make', 'install python3 with venv'],
    });
  }
  return [{ name: 'cmake and ninja', gigabytes: 0.03, disk: 0.1, reason: 'there is no cmake on PATH' }];
}

/** @param {SetupPlan} plan @returns {string[]} lines for people */
function describePlan({ addon, prebuilt, libtorch, compiles, compiler, downloads, cache }) {
  const kind = libtorch?.cuda ? `CUDA ${libtorch.cuda} build` : 'CPU build';
  return [
    libtorch ? `libtorch ${libtorch.version} is there: ${kind}, ${libtorch.path}` : 'libtorch is missing',
    prebuilt
      ? `a prebuilt addon fits: ${prebuilt}`
      : compiles
        ? `${addon ? 'the addon is of other sources or another libtorch' : 'the addon is missing'}: ${compiler} builds it (some minutes)`
        : `the addon is there: ${addon}`,
    ...(downloads.length ? [`To download, into ${cache}:`] : ['Nothing has to be downloaded.']),
    ...downloads.map(
      ({ name, gigabytes, disk, reason }) =>
        `  - ${name}: about ${inWords(gigabytes)}, ${inWords(disk)} on disk (${reason})`,
    ),
  ];
}

/** @param {number} gigabytes */
const inWords = (gigabytes) => (gigabytes < 0.1 ? `${Math.round(gigabytes * 1000)} MB` : `${gigabytes} GB`);

module.exports = { planSetup, describePlan, build, explain };
