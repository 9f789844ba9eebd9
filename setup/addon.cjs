'use strict';
// Where the built addon lies: in this repository's build folder; in an installed package beside it, prebuilt or built by
// `detail-guidance setup`, else in the cache (a package that belongs to another user).

const fs = require('node:fs');
const path = require('node:path');
const { root, isRepository, cacheFolder, buildFolder, fingerprint } = require('./cache.cjs');
const { searchLibtorch } = require('./libtorch.cjs');

/** What belongs to one addon. `preload.node` loads libtorch first, so that the addon itself needs no path to it. */
const FILES = ['detail_guidance.node', 'preload.node', 'build-info.json'];

/** What the native build depends on, the C++ tests apart. */
const SOURCES = ['CMakeLists.txt', 'native', 'setup/build.cjs', 'setup/build-info.cjs', 'setup/nvcc.cjs'];

/** @param {string} folder */
const isComplete = (folder) => FILES.every((file) => fs.existsSync(path.join(folder, file)));

/**
 * Whether an addon runs on this libtorch: the same minor version, and a libtorch with CUDA where it links CUDA.
 * @param {import('./libtorch.cjs').Libtorch} libtorch
 */
const variantFor = ({ version, cuda }) =>
  `torch-${version.split('.').slice(0, 2).join('.')}-${cuda ? `cuda${cuda.split('.')[0]}` : 'cpu'}`;

/**
 * Folder of the prebuilt addon for a libtorch, whether it is there or not. The outer folders are those of prebuildify;
 * the innermost says what its tags cannot: which libtorch.
 * @param {import('./libtorch.cjs').Libtorch} libtorch
 */
const prebuiltFolder = (libtorch) =>
  path.join(root, 'prebuilds', `${process.platform}-${process.arch}`, variantFor(libtorch));

/**
 * Where an installed package's own build goes: one folder for each state of the sources, outside node_modules.
 * @param {NodeJS.ProcessEnv} [env]
 */
const cachedBuild = (env = process.env) => path.join(cacheFolder(env), `build-${fingerprint(SOURCES).slice(0, 16)}`);

/** The prebuilt addon that fits the libtorch of this machine. @param {NodeJS.ProcessEnv} [env] @returns {string | null} */
function findPrebuilt(env = process.env) {
  if (!fs.existsSync(path.join(root, 'prebuilds'))) return null;
  const { libtorch } = searchLibtorch({ env, headers: false });
  const folder = libtorch && prebuiltFolder(libtorch);
  return folder && isComplete(folder) ? folder : null;
}

/**
 * The folder of the addon, by one chain: DETAIL_GUIDANCE_BUILD, what was built in the package, prebuilt, built in the
 * cache.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {{ folder: string | null, missing: string }} `missing`: what was looked for first
 */
function findAddon(env = process.env) {
  const own = path.join(buildFolder(env), 'Release');
  const missing = path.join(own, FILES.find((file) => !fs.existsSync(path.join(own, file))) ?? '');
  if (isComplete(own)) return { folder: own, missing };
  if (env.DETAIL_GUIDANCE_BUILD || isRepository) return { folder: null, missing };
  const cached = path.join(cachedBuild(env), 'Release');
  return { folder: findPrebuilt(env) ?? (isComplete(cached) ? cached : null), missing };
}

/** What to say when there is no addon: the one command that gets it. */
const HOW_TO_BUILD = isRepository
  ? 'run `npm run build` (`npm run doctor` says what that needs)'
  : 'run `npx detail-guidance setup`, which shows what it downloads before it does';

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
