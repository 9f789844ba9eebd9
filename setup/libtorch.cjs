'use strict';
// Finds libtorch, by one readable chain of decisions; every candidate is kept with the reason it was refused.
// Used by the build, by `detail-guidance doctor` and at run time, when the libtorch of the build has moved.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { cacheFolder, findCacheFolder } = require('./cache.cjs');
const { SetupError } = require('./failure.cjs');

/** The version that is installed when none is found. */
const PINNED = '2.11.0';
/** CUDA of its CUDA build. */
const PINNED_CUDA = '13.0';
/** The source compiles against these: [first, last] minor version. */
const SUPPORTED = ['2.11', '2.15'];

/**
 * @typedef {object} Libtorch
 * @property {string} path folder of libtorch: an unpacked archive, or `site-packages/torch`
 * @property {string} include folder of its headers
 * @property {string} lib folder of its libraries
 * @property {string} version such as `2.11.0`
 * @property {string | null} cuda CUDA version it was built with (`unknown` when it does not say), null for a CPU build
 * @property {string | null} cudaInclude CUDA headers beside it, when there are any
 *
 * @typedef {object} Candidate
 * @property {string} source which link of the chain
 * @property {string} path what was looked at
 * @property {boolean} accepted
 * @property {string | null} reason why it was refused
 * @property {Libtorch} [libtorch]
 */

/** @param {NodeJS.ProcessEnv} [env] @returns {string} the version to install */
const wantedVersion = (env = process.env) => env.DETAIL_GUIDANCE_TORCH || PINNED;

/** @param {NodeJS.ProcessEnv} [env] @returns {string} the private Python environment that holds torch and the tools */
const privateEnvironment = (env = process.env) => path.join(cacheFolder(env), `python-torch-${wantedVersion(env)}`);

/** @param {string} name @returns {string} file name of a shared library here */
function libraryFile(name) {
  if (process.platform === 'win32') return `${name}.dll`;
  return `lib${name}.${process.platform === 'darwin' ? 'dylib' : 'so'}`;
}

/** @param {string} file @returns {string} '' when it cannot be read */
function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/**
 * Version and CUDA version, from what each kind of libtorch carries: a wheel's version.py, an archive's build-version,
 * any one's version.h.
 * @param {string} folder
 * @param {string} include
 * @returns {{ version: string | null, cuda: string | null }}
 */
function readVersion(folder, include) {
  const python = read(path.join(folder, 'version.py'));
  const spelled = python.match(/__version__ = '([^']+)'/)?.[1] || read(path.join(folder, 'build-version')).trim();
  const number = spelled.match(/^\d+\.\d+\.\d+/)?.[0];
  const cuda =
    python.match(/^cuda.*= '([\d.]+)'/m)?.[1] ||
    spelled
      .match(/\+cu(\d+)(\d)$/)
      ?.slice(1)
      .join('.') ||
    null;
  if (number) return { version: number, cuda };
  for (const header of ['torch/headeronly/version.h', 'torch/csrc/api/include/torch/version.h']) {
    const text = read(path.join(include, header));
    const parts = ['MAJOR', 'MINOR', 'PATCH'].map(
      (part) => text.match(new RegExp(`TORCH_VERSION_${part} (\\d+)`))?.[1],
    );
    if (parts.every((part) => part !== undefined)) return { version: parts.join('.'), cuda };
  }
  return { version: null, cuda };
}

/** @param {string} version @returns {boolean} */
function supported(version) {
  const minor = Number(version.split('.')[1]);
  const [first, last] = SUPPORTED.map((text) => Number(text.split('.')[1]));
  return version.startsWith('2.') && minor >= (first ?? 0) && minor <= (last ?? 0);
}

/**
 * Looks at one folder.
 * @param {string} folder
 * @param {{ include?: string, lib?: string, headers?: boolean }} [options] `include`, `lib`: folders of their own,
 *   themselves or with `include/` or `lib/` in them; `headers`: whether headers are needed (not at run time)
 * @returns {{ libtorch: Libtorch, reason: null } | { libtorch: null, reason: string }}
 */
function inspect(folder, { include, lib, headers = true } = {}) {
  /** @param {string} base @param {string} name */
  const inside = (base, name) => (fs.existsSync(path.join(base, name)) ? path.join(base, name) : base);
  const includes = inside(include ?? folder, 'include');
  const libraries = inside(lib ?? folder, 'lib');
  /** @param {string} reason */
  const refused = (reason) => ({ libtorch: null, reason });
  if (!fs.existsSync(folder)) return refused('there is no such folder');
  for (const name of ['torch', 'torch_cpu', 'c10']) {
    const file = path.join(libraries, libraryFile(name));
    if (!fs.existsSync(file)) return refused(`${file} is missing`);
  }
  const header = path.join(includes, 'torch', 'script.h');
  if (headers && !fs.existsSync(header)) return refused(`${header} is missing`);
  const { version, cuda } = readVersion(folder, includes);
  if (!version) return refused('its version cannot be read (no version.py, build-version or version.h)');
  if (!supported(version)) return refused(`version ${version} is outside ${SUPPORTED.join(' to ')}`);
  const linked = fs.existsSync(path.join(libraries, libraryFile('torch_cuda')));
  const major = cuda?.split('.')[0] ?? '13';
  const cudaInclude = path.resolve(folder, '..', 'nvidia', `cu${major}`, 'include');
  return {
    libtorch: {
      path: folder,
      include: includes,
      lib: libraries,
      version,
      cuda: linked ? (cuda ?? 'unknown') : null,
      cudaInclude: linked && fs.existsSync(path.join(cudaInclude, 'cuda_runtime_api.h')) ? cudaInclude : null,
    },
    reason: null,
  };
}

/**
 * Folder of the torch that a Python has, without importing it.
 * @param {string} python
 * @returns {string | null}
 */
function torchOfPython(python) {
  const question = "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0])";
  // Not from the current folder: a folder called torch there would be taken for the package.
  const answer = spawnSync(python, ['-I', '-c', question], { encoding: 'utf8', timeout: 30_000 });
  return answer.status === 0 ? answer.stdout.trim() : null;
}

/**
 * Folder of torch in a private environment, once pip has finished installing it: pip writes INSTALLER after all files.
 * @param {string} environment
 * @returns {{ path: string, reason: string | null }}
 */
function torchOfEnvironment(environment) {
  const library = path.join(environment, process.platform === 'win32' ? 'Lib' : 'lib');
  if (!fs.existsSync(library)) return { path: environment, reason: 'nothing is installed there yet' };
  const pythons = process.platform === 'win32' ? [''] : fs.readdirSync(library).filter((name) => /^python3/.test(name));
  for (const python of pythons) {
    const packages = path.join(library, python, 'site-packages');
    const names = fs.existsSync(packages) ? fs.readdirSync(packages) : [];
    const recorded = names.find((name) => /^torch-[\d.]+.*\.dist-info$/.test(name));
    if (!recorded) continue;
    if (fs.existsSync(path.join(packages, recorded, 'INSTALLER'))) {
      return { path: path.join(packages, 'torch'), reason: null };
    }
    return { path: packages, reason: 'an installation of torch there was interrupted' };
  }
  return { path: environment, reason: 'torch is not installed there' };
}

/**
 * The folder `libtorch` that a packaged Electron application has among its resources, where it has one.
 * @returns {string | null}
 */
function besideApplication() {
  const { resourcesPath } = /** @type {{ resourcesPath?: string }} */ (process);
  const folder = resourcesPath ? path.join(resourcesPath, 'libtorch') : '';
  return folder && fs.existsSync(folder) ? folder : null;
}

/**
 * The chain of decisions. Stops at the first candidate that is accepted; what the user asked for by name and is
 * refused ends it as well, since falling back would hide the mistake.
 * @param {{ env?: NodeJS.ProcessEnv, headers?: boolean, version?: string }} [options] `headers`: false at run time;
 *   `version`: only this very version will do
 * @returns {{ libtorch: Libtorch | null, candidates: Candidate[] }}
 */
function searchLibtorch({ env = process.env, headers = true, version } = {}) {
  /** @type {Candidate[]} */
  const candidates = [];
  /**
   * @param {string} source @param {string | null} folder @param {string | null} reason @param {object} [places]
   * @returns {Libtorch | null}
   */
  const consider = (source, folder, reason, places) => {
    const inspection = reason || !folder ? { libtorch: null, reason } : inspect(folder, { headers, ...places });
    let why = inspection.reason;
    if (inspection.libtorch && version && inspection.libtorch.version !== version) {
      why = `version ${inspection.libtorch.version}, and the addon was built for ${version}`;
    }
    const accepted = inspection.libtorch !== null && why === null;
    candidates.push({
      source,
      path: folder ?? '',
      accepted,
      reason: why,
      ...(accepted && { libtorch: inspection.libtorch }),
    });
    return accepted ? inspection.libtorch : null;
  };
  /** @param {Libtorch | null} libtorch */
  const answer = (libtorch) => ({ libtorch, candidates });

  const variable = env.LIBTORCH || env.LIBTORCH_LIB;
  if (variable) {
    const source = env.LIBTORCH ? 'LIBTORCH' : 'LIBTORCH_LIB';
    return answer(
      consider(source, path.resolve(variable), null, { include: env.LIBTORCH_INCLUDE, lib: env.LIBTORCH_LIB }),
    );
  }

  const besides = besideApplication();
  const shipped = besides && consider('beside the application', besides, null);
  if (shipped) return answer(shipped);

  const usePython = env.LIBTORCH_USE_PYTORCH;
  if (usePython !== '0') {
    const folder = torchOfPython('python3');
    const source = usePython ? 'LIBTORCH_USE_PYTORCH' : 'python3 on PATH';
    const candidate = consider(source, folder, folder ? null : 'there is no python3 on PATH that has torch');
    if (candidate || usePython) return answer(candidate);
  }

  const cached = findCacheFolder(env)
    ? torchOfEnvironment(privateEnvironment(env))
    : { path: null, reason: 'this user has no home folder for it' };
  return answer(consider('cache', cached.path, cached.reason));
}

/** @returns {string[]} every way to get a libtorch, best first */
function waysToLibtorch() {
  const cache = findCacheFolder();
  return [
    `let set-up install PyTorch ${PINNED}: python3 (3.10 or newer) with its venv module (Debian: python3-venv), a package index that pip reaches, and 6 GB free in the cache folder${cache ? ` ${cache}` : ''}`,
    'DETAIL_GUIDANCE_CACHE=/elsewhere puts the cache on a disk that has room',
    `LIBTORCH=/path/to/libtorch uses an unpacked libtorch ${SUPPORTED.join(' to ')}, CPU or CUDA build (LIBTORCH_INCLUDE and LIBTORCH_LIB where headers and libraries lie apart)`,
    'LIBTORCH_USE_PYTORCH=1 uses the PyTorch that python3 on PATH has',
    `a smaller CPU build of PyTorch: point pip at an index that has one, such as PyTorch's own (PIP_EXTRA_INDEX_URL or pip.conf); it is taken where there is no NVIDIA driver. Another version: DETAIL_GUIDANCE_TORCH=2.15.0`,
  ];
}

/** @param {Candidate[]} candidates @returns {string[]} one line each */
const describeCandidates = (candidates) =>
  candidates.map(
    ({ source, path: place, reason }) => `${source}${place ? ` (${place})` : ''}: ${reason ?? 'accepted'}`,
  );

/**
 * As searchLibtorch, but throws a SetupError that lists what was looked at and every way out.
 * @param {Parameters<typeof searchLibtorch>[0]} [options]
 * @returns {Libtorch}
 */
function findLibtorch(options) {
  const { libtorch, candidates } = searchLibtorch(options);
  if (libtorch) return libtorch;
  throw new SetupError('libtorch was not found.', {
    found: describeCandidates(candidates),
    waysOut: waysToLibtorch(),
  });
}

module.exports = {
  PINNED,
  PINNED_CUDA,
  SUPPORTED,
  wantedVersion,
  privateEnvironment,
  inspect,
  besideApplication,
  searchLibtorch,
  findLibtorch,
  describeCandidates,
  waysToLibtorch,
  libraryFile,
};
