'use strict';
// Where the built addon lies: in this repository's build folder; in an installed package beside it, prebuilt or built by
// `detail-guidance setup`, else in the cache (a package that belongs to another user).

const fs = require('node:fs');
const path = require('node:path');
const { root, isRepository, cacheFolder, findCacheFolder, buildFolder, fingerprint } = require('./cache.cjs');
const { describeCandidates, searchLibtorch } = require('./libtorch.cjs');
const { isMusl } = require('./platform.cjs');

/** What belongs to one addon. `preload.node` loads libtorch first, so that the addon itself needs no path to it. */
const FILES = ['detail_guidance.node', 'preload.node', 'build-info.json'];

/** What the native build depends on, the C++ tests apart. */
const SOURCES = ['CMakeLists.txt', 'native', 'setup/build.cjs', 'setup/build-info.cjs', 'setup/nvcc.cjs'];

/** @param {string} folder */
const isComplete = (folder) => FILES.every((file) => fs.existsSync(path.join(folder, file)));

/**
 * Whether an addon runs on this libtorch: the same minor version, and a libtorch with CUDA where it links CUDA.
 * @param {Pick<import('./libtorch.cjs').Libtorch, 'version' | 'cuda'>} libtorch
 */
const variantFor = ({ version, cuda }) =>
  `torch-${version.split('.').slice(0, 2).join('.')}-${cuda ? `cuda${cuda.split('.')[0]}` : 'cpu'}`;

/**
 * Folder of the prebuilt addon for a libtorch, whether it is there or not. The outer folders are those of prebuildify;
 * the innermost says what its tags cannot: which libtorch.
 * @param {Pick<import('./libtorch.cjs').Libtorch, 'version' | 'cuda'>} libtorch
 */
const prebuiltFolder = (libtorch) =>
  path.join(root, 'prebuilds', `${process.platform}${isMusl() ? 'musl' : ''}-${process.arch}`, variantFor(libtorch));

/**
 * Where an installed package's own build goes: one folder for each state of the sources, outside node_modules.
 * @param {NodeJS.ProcessEnv} [env]
 */
const cachedBuild = (env = process.env) => path.join(cacheFolder(env), `build-${fingerprint(SOURCES).slice(0, 16)}`);

/**
 * The prebuilt addon that fits the libtorch of this machine.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {{ folder: string | null, reason: string | null }} `reason`: why none of those that are there is taken
 */
function searchPrebuilt(env = process.env) {
  if (!fs.existsSync(path.join(root, 'prebuilds'))) return { folder: null, reason: null };
  const { libtorch, candidates } = searchLibtorch({ env, headers: false });
  if (!libtorch) {
    return {
      folder: null,
      reason: `a prebuilt one waits for a libtorch: ${describeCandidates(candidates).join('; ')}`,
    };
  }
  const folder = prebuiltFolder(libtorch);
  return isComplete(folder)
    ? { folder, reason: null }
    : { folder: null, reason: `none is prebuilt for ${variantFor(libtorch)} (${libtorch.path})` };
}

/** @param {NodeJS.ProcessEnv} [env] @returns {string | null} */
const findPrebuilt = (env = process.env) => searchPrebuilt(env).folder;

/**
 * The folder of the addon, by one chain: DETAIL_GUIDANCE_BUILD, what was built in the package, prebuilt, built in the
 * cache.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {{ folder: string | null, missing: string, reason: string | null }} `missing`: what was looked for first;
 *   `reason`: why no prebuilt one is taken
 */
function findAddon(env = process.env) {
  const own = path.join(buildFolder(env), 'Release');
  const missing = path.join(own, FILES.find((file) => !fs.existsSync(path.join(own, file))) ?? '');
  if (isComplete(own)) return { folder: own, missing, reason: null };
  if (env.DETAIL_GUIDANCE_BUILD || isRepository) return { folder: null, missing, reason: null };
  const prebuilt = searchPrebuilt(env);
  if (prebuilt.folder || !findCacheFolder(env)) return { ...prebuilt, missing };
  const cached = path.join(cachedBuild(env), 'Release');
  return { folder: isComplete(cached) ? cached : null, missing, reason: prebuilt.reason };
}

/** Under Yarn's Plug'n'Play there is no node_modules in which npx finds a program. */
const SETUP = `${process.versions.pnp ? 'yarn' : 'npx'} detail-guidance setup`;

/** What to say when there is no addon: the one command that gets it. */
const HOW_TO_BUILD = isRepository
  ? 'run `npm run build` (`npm run doctor` says what that needs)'
  : `run \`${SETUP}\`, which shows what it downloads before it does`;

module.exports = {
  FILES,
  SOURCES,
  HOW_TO_BUILD,
  isComplete,
  variantFor,
  prebuiltFolder,
  cachedBuild,
  findPrebuilt,
  findAddon,
};
