'use strict';
// `detail-guidance setup`: says what is there, what will be downloaded and how large it is, then does it.

const { findAddon, findPrebuilt } = require('./addon.cjs');
const { build } = require('./build.cjs');
const { findCacheFolder, isRepository, makeCacheFolder } = require('./cache.cjs');
const { searchLibtorch } = require('./libtorch.cjs');
const { findPython } = require('./python.cjs');
const { choosePyTorch, refuseHopeless } = require('./pytorch.cjs');
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
  const fitting = prebuilt && !isRepository ? findPrebuilt() : null;
  const { folder } = findAddon();
  /** @type {Download[]} */
  const downloads = [];
  if (!libtorch) {
    refuseHopeless(candidates);
    if (!fitting) requireCompiler();
    const { build: variant, reason, gigabytes } = await choosePyTorch();
    const name = `PyTorch, ${variant === 'cpu' ? 'CPU' : 'CUDA'} build (libtorch comes with it)`;
    downloads.push({ name, gigabytes: gigabytes.download, disk: gigabytes.disk, reason });
  }
  if (!fitting && !folder) {
    requireCompiler();
    const tools = findBuildTools();
    if (!tools.cmake || (!tools.ninja && !tools.make)) {
      const { reason } = findPython();
      if (reason) {
        throw new SetupError(`There is no cmake, and it cannot be fetched: ${reason}.`, {
          waysOut: ['install cmake 3.18 or newer, and ninja or make', 'install python3 with venv'],
        });
      }
      downloads.push({ name: 'cmake and ninja', gigabytes: 0.03, disk: 0.1, reason: 'there is no cmake on PATH' });
    }
  }
  if (downloads.length) makeCacheFolder();
  return {
    addon: folder,
    prebuilt: fitting,
    libtorch,
    compiler: findCompiler().path,
    downloads,
    cache: findCacheFolder(),
  };
}

/** @param {SetupPlan} plan @returns {string[]} lines for people */
function describePlan({ addon, prebuilt, libtorch, compiler, downloads, cache }) {
  const kind = libtorch?.cuda ? `CUDA ${libtorch.cuda} build` : 'CPU build';
  return [
    libtorch ? `libtorch ${libtorch.version} is there: ${kind}, ${libtorch.path}` : 'libtorch is missing',
    prebuilt
      ? `a prebuilt addon fits: ${prebuilt}`
      : addon
        ? `an addon is there: ${addon}`
        : `the addon is missing: ${compiler ?? 'a compiler'} builds it (some minutes)`,
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
