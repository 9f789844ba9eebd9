'use strict';
// PyTorch as the libtorch of a machine that has none: which build of it, how large it is, and its installation into the
// private environment.

const fs = require('node:fs');
const path = require('node:path');
const { cacheFolder, freeBytes } = require('./cache.cjs');
const { SetupError } = require('./failure.cjs');
const {
  describeCandidates,
  privateEnvironment,
  searchLibtorch,
  wantedVersion,
  waysToLibtorch,
} = require('./libtorch.cjs');
const { platformReason } = require('./platform.cjs');
const { pipInstall, pipOffers } = require('./python.cjs');
const { say } = require('./steps.cjs');

/** Gigabytes of PyTorch 2.11 and what it needs, on x86-64 Linux: to fetch, and on disk. */
const SIZES = {
  cuda: { download: 2.7, disk: 5 },
  cpu: { download: 0.2, disk: 0.9 },
};

/**
 * @typedef {object} PyTorch
 * @property {string} requirement for pip
 * @property {'cpu' | 'cuda'} build
 * @property {string} reason why this build
 * @property {{ download: number, disk: number }} gigabytes about
 */

/** Whether this machine has an NVIDIA driver. */
const hasNvidia = () =>
  process.platform === 'win32'
    ? fs.existsSync(path.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', 'nvcuda.dll'))
    : ['/dev/nvidiactl', '/proc/driver/nvidia', '/dev/dxg'].some((file) => fs.existsSync(file));

/**
 * The PyTorch to install: the CPU build, a fifth of the other, where there is no NVIDIA card and the package index has
 * it. DETAIL_GUIDANCE_TORCH_BUILD=cpu or cuda decides for a machine that is not the one that will run it.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<PyTorch>}
 */
async function choosePyTorch(env = process.env) {
  const version = wantedVersion(env);
  const variant = env.DETAIL_GUIDANCE_TORCH_BUILD;
  if (variant !== undefined && variant !== 'cpu' && variant !== 'cuda') {
    throw new SetupError(`DETAIL_GUIDANCE_TORCH_BUILD: expected cpu or cuda, received ${variant}.`);
  }
  const plain = `torch==${version}`;
  if (process.platform === 'darwin') {
    return { requirement: plain, build: 'cpu', reason: 'macOS has no CUDA', gigabytes: SIZES.cpu };
  }
  if (variant === 'cuda') return cudaBuild(plain, 'DETAIL_GUIDANCE_TORCH_BUILD=cuda');
  if (!variant && hasNvidia()) return cudaBuild(plain, 'this machine has an NVIDIA driver');
  if (!(await pipOffers(`${plain}+cpu`))) {
    const why = variant ? 'DETAIL_GUIDANCE_TORCH_BUILD=cpu, but' : 'this machine has no NVIDIA driver, but';
    return cudaBuild(plain, `${why} the package index offers no CPU build (torch ${version}+cpu)`);
  }
  const reason = variant ? 'DETAIL_GUIDANCE_TORCH_BUILD=cpu' : 'this machine has no NVIDIA driver';
  return { requirement: `${plain}+cpu`, build: 'cpu', reason, gigabytes: SIZES.cpu };
}

/** @param {string} requirement @param {string} reason @returns {PyTorch} */
const cudaBuild = (requirement, reason) => ({ requirement, build: 'cuda', reason, gigabytes: SIZES.cuda });

/** Takes out what cannot be set up before anything is fetched for it. @param {ReturnType<typeof searchLibtorch>['candidates']} candidates */
function refuseHopeless(candidates) {
  const source = candidates.at(-1)?.source;
  if (source !== 'cache') {
    throw new SetupError(`${source} was set, but what it names cannot be used.`, {
      found: describeCandidates(candidates),
      waysOut: waysToLibtorch(),
    });
  }
  const reason = platformReason();
  if (reason) {
    throw new SetupError(`PyTorch cannot be installed here: ${reason}.`, {
      found: describeCandidates(candidates),
      waysOut: waysToLibtorch().slice(2, 4),
    });
  }
}

/**
 * The libtorch to build with; installs PyTorch into the private environment when there is none.
 * @returns {Promise<import('./libtorch.cjs').Libtorch>}
 */
async function ensureLibtorch() {
  const { libtorch, candidates } = searchLibtorch();
  if (libtorch) return libtorch;
  refuseHopeless(candidates);
  const environment = privateEnvironment();
  if (candidates.at(-1)?.reason?.includes('interrupted')) fs.rmSync(environment, { recursive: true, force: true });
  const { requirement, build, reason, gigabytes } = await choosePyTorch();
  const free = freeBytes(cacheFolder());
  if (free !== null && free < (gigabytes.disk + 1) * 1e9) {
    throw new SetupError(
      `PyTorch needs about ${gigabytes.disk + 1} GB in the cache folder, and ${(free / 1e9).toFixed(1)} GB are free there.`,
      { found: describeCandidates(candidates), waysOut: waysToLibtorch() },
    );
  }
  const name = `PyTorch ${wantedVersion()}, ${build === 'cpu' ? 'CPU' : 'CUDA'} build (${gigabytes.download} GB to fetch, ${gigabytes.disk} GB on disk)`;
  say(`  ${build === 'cpu' ? 'the CPU build' : 'the CUDA build'} of PyTorch: ${reason}`);
  await pipInstall(name, [requirement, 'numpy']);
  const installed = searchLibtorch();
  if (installed.libtorch) return installed.libtorch;
  throw new SetupError('PyTorch was installed, but is not usable as libtorch.', {
    found: describeCandidates(installed.candidates),
    waysOut: waysToLibtorch(),
  });
}

module.exports = { choosePyTorch, ensureLibtorch, refuseHopeless };
