'use strict';
// PyTorch as the libtorch of a machine that has none: which build of it, how large it is, and its installation into the
// private environment.

const fs = require('node:fs');
const path = require('node:path');
const { requireRoom } = require('./cache.cjs');
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
 * @throws {SetupError} where no index answers, or the cache folder has no room for it
 */
async function choosePyTorch(env = process.env) {
  const version = wantedVersion(env);
  const variant = env.DETAIL_GUIDANCE_TORCH_BUILD;
  if (variant !== undefined && variant !== 'cpu' && variant !== 'cuda') {
    throw new SetupError(`DETAIL_GUIDANCE_TORCH_BUILD: expected cpu or cuda, received ${variant}.`);
  }
  const plain = `torch==${version}`;
  if (process.platform === 'darwin') {
    return chosen('cpu', plain, 'macOS has no CUDA');
  }
  if (variant === 'cuda') return chosen('cuda', plain, 'DETAIL_GUIDANCE_TORCH_BUILD=cuda');
  if (!variant && hasNvidia()) return chosen('cuda', plain, 'this machine has an NVIDIA driver');
  requireRoomFor(SIZES.cpu);
  if (!(await pipOffers(`${plain}+cpu`))) {
    const why = variant ? 'DETAIL_GUIDANCE_TORCH_BUILD=cpu, but' : 'this machine has no NVIDIA driver, but';
    return chosen('cuda', plain, `${why} the package index offers no CPU build (torch ${version}+cpu)`);
  }
  const reason = variant ? 'DETAIL_GUIDANCE_TORCH_BUILD=cpu' : 'this machine has no NVIDIA driver';
  return chosen('cpu', `${plain}+cpu`, reason);
}

/** @param {'cpu' | 'cuda'} build @param {string} requirement @param {string} reason @returns {PyTorch} */
function chosen(build, requirement, reason) {
  const gigabytes = SIZES[build];
  requireRoomFor(gigabytes);
  return { requirement, build, reason, gigabytes };
}

/** @param {{ disk: number }} gigabytes */
function requireRoomFor({ disk }) {
  const environment = privateEnvironment();
  const begun = fs.existsSync(environment) ? [`remove ${environment}, which is not whole`] : [];
  // pip unpacks beside what is there.
  requireRoom('PyTorch', disk + 1, { waysOut: [...begun, ...waysToLibtorch().slice(2)] });
}

/** Takes out what cannot be set up before anything is fetched for it. @param {ReturnType<typeof searchLibtorch>['candidates']} candidates */
function refuseHopeless(candidates) {
  const source = candidates.at(-1)?.source;
  if (source !== 'cache') {
    throw new SetupError(`${source} was set, but what it names cannot be used.`, {
      found: describeCandidates(candidates),
      waysOut: [`unset ${source}, and set-up looks elsewhere and installs PyTorch`, ...waysToLibtorch().slice(2)],
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
