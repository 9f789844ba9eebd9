'use strict';
// CUDA's compiler, for the kernels in native/cuda. It has to be of libtorch's own CUDA version (same major, not newer):
// DETAIL_GUIDANCE_NVCC, the one beside libtorch's CUDA headers, CUDA_HOME, PATH; else the private environment gets it
// from PyPI. Without one the addon is built all the same, without kernels of its own.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { findCacheFolder, freeBytes } = require('./cache.cjs');
const { privateEnvironment } = require('./libtorch.cjs');
const { pipInstall } = require('./python.cjs');
const { say } = require('./steps.cjs');

const BYTES_NEEDED = 5e8;

/**
 * @typedef {{ path: string, reason: null } | { path: null, reason: string }} Nvcc `reason`: why there is none
 */

/** @param {string} nvcc @returns {string | null} such as `13.0` */
function nvccVersion(nvcc) {
  const answer = spawnSync(nvcc, ['--version'], { encoding: 'utf8', timeout: 30_000 });
  return answer.stdout?.match(/release (\d+\.\d+)/)?.[1] ?? null;
}

/**
 * Whether code of this nvcc runs on the CUDA runtime that libtorch loads: minor versions of one major are compatible.
 * @param {string} version @param {string} cuda
 */
function fitsRuntime(version, cuda) {
  const [major, minor] = version.split('.').map(Number);
  const [cudaMajor, most] = cuda.split('.').map(Number);
  return major === cudaMajor && (minor ?? 0) <= (most ?? Infinity);
}

/**
 * Looks for nvcc; installs none.
 * @param {import('./libtorch.cjs').Libtorch} libtorch
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Nvcc}
 */
function findNvcc(libtorch, env = process.env) {
  if (env.DETAIL_GUIDANCE_NVCC === '0') return { path: null, reason: 'DETAIL_GUIDANCE_NVCC=0' };
  if (!libtorch.cuda) return { path: null, reason: 'this libtorch is a CPU build' };
  if (!libtorch.cudaInclude) return { path: null, reason: 'there are no CUDA headers beside this libtorch' };
  if (process.platform !== 'linux') return { path: null, reason: `kernels are not built on ${process.platform}` };
  const places = env.DETAIL_GUIDANCE_NVCC
    ? [env.DETAIL_GUIDANCE_NVCC]
    : [
        path.resolve(libtorch.cudaInclude, '..', 'bin', 'nvcc'),
        ...(env.CUDA_HOME ? [path.join(env.CUDA_HOME, 'bin', 'nvcc')] : []),
        ...(env.PATH ?? '').split(path.delimiter).map((folder) => path.join(folder, 'nvcc')),
      ];
  /** @type {string[]} */
  const refused = [];
  for (const place of places) {
    if (!fs.existsSync(place)) continue;
    const version = nvccVersion(place);
    if (version && fitsRuntime(version, libtorch.cuda)) return { path: place, reason: null };
    refused.push(version ? `${place} is ${version}, libtorch has CUDA ${libtorch.cuda}` : `${place} does not start`);
  }
  return { path: null, reason: refused.join('; ') || 'nvcc is not installed' };
}

/**
 * The version of the `cuda-toolkit` package that torch itself asked for, so that pip brings no newer compiler.
 * @param {import('./libtorch.cjs').Libtorch} libtorch
 * @returns {string} such as `13.0.2`
 */
function toolkitVersion(libtorch) {
  const names = fs.readdirSync(path.dirname(libtorch.path));
  const release = names.map((name) => name.match(/^cuda_toolkit-([\d.]+)\.dist-info$/)?.[1]).find(Boolean);
  return release ?? `${libtorch.cuda}.*`;
}

/**
 * Whether set-up fetches nvcc: where there is none, and libtorch is (or will be) the private environment's own.
 * @param {import('./libtorch.cjs').Libtorch} libtorch
 * @param {Nvcc} nvcc by `findNvcc` for it
 */
const fetchesNvcc = (libtorch, { reason }) =>
  reason === 'nvcc is not installed' &&
  findCacheFolder() !== null &&
  libtorch.path.startsWith(privateEnvironment() + path.sep);

/**
 * nvcc, installed from PyPI (about 50 MB to fetch, 270 MB on disk) where libtorch is the private environment's own.
 * Never throws: what cannot be had is a reason.
 * @param {import('./libtorch.cjs').Libtorch} libtorch
 * @returns {Promise<Nvcc>}
 */
async function ensureNvcc(libtorch) {
  const nvcc = findNvcc(libtorch);
  if (!fetchesNvcc(libtorch, nvcc)) return nvcc;
  const free = freeBytes(privateEnvironment());
  if (free !== null && free < BYTES_NEEDED) {
    return { path: null, reason: `nvcc needs ${BYTES_NEEDED / 1e9} GB, and ${(free / 1e9).toFixed(1)} GB are free` };
  }
  const series = `${libtorch.cuda}.*`;
  try {
    await pipInstall(`nvcc ${libtorch.cuda} (CUDA kernels; takes about 0.3 GB, DETAIL_GUIDANCE_NVCC=0 does without)`, [
      `cuda-toolkit[nvcc,cccl]==${toolkitVersion(libtorch)}`,
      // Left to itself pip takes the newest of these, and ptxas refuses what they make.
      `nvidia-nvvm==${series}`,
      `nvidia-cuda-crt==${series}`,
    ]);
  } catch (error) {
    say('  The addon will be built without CUDA kernels of its own.');
    return { path: null, reason: `it could not be installed: ${String(error).split('\n')[0]}` };
  }
  return findNvcc(libtorch);
}

module.exports = { findNvcc, fetchesNvcc, ensureNvcc, nvccVersion, fitsRuntime };
