'use strict';
// The private Python environment: torch where no other libtorch was found, cmake and ninja where none are on PATH,
// and the packages of the tests (test/requirements.txt).

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { root, cacheFolder, fingerprint, freeBytes, hasStamp, writeStamp } = require('./cache.cjs');
const { SetupError } = require('./failure.cjs');
const {
  describeCandidates,
  privateEnvironment,
  searchLibtorch,
  wantedVersion,
  waysToLibtorch,
} = require('./libtorch.cjs');
const { step } = require('./steps.cjs');

const BYTES_NEEDED = 6e9;
const PYTHON = { major: 3, minor: 10 };

/** What the parity tests and models/ import. */
const TEST_MODULES = ['torch', 'numpy', 'scipy', 'diffusers', 'transformers', 'accelerate', 'safetensors', 'pytest'];

/** What models/export imports. */
const EXPORT_MODULES = ['torch', 'numpy', 'diffusers', 'transformers', 'accelerate', 'safetensors'];

/** @param {string} environment @param {string} [program] @returns {string} */
const programOf = (environment, program = 'python') =>
  process.platform === 'win32'
    ? path.join(environment, 'Scripts', `${program}.exe`)
    : path.join(environment, 'bin', program);

/**
 * The python3 to make the private environment with.
 * @returns {{ path: string | null, version: string | null, reason: string | null }}
 */
function findPython() {
  const answer = spawnSync(
    'python3',
    ['-I', '-c', 'import sys; print(sys.executable, "%d.%d.%d" % sys.version_info[:3])'],
    {
      encoding: 'utf8',
      timeout: 30_000,
    },
  );
  const [, executable, version] = answer.stdout?.match(/^(.*) ([\d.]+)\s*$/) ?? [];
  if (answer.status !== 0 || !executable || !version) {
    return { path: null, version: null, reason: 'there is no python3 on PATH' };
  }
  const minor = Number(version.split('.')[1]);
  const reason =
    minor < PYTHON.minor ? `python3 is ${version}; ${PYTHON.major}.${PYTHON.minor} or newer is needed` : null;
  return { path: executable, version, reason };
}

/**
 * Makes the private environment when it is missing and returns its Python. Where libtorch is that of the user's own
 * python3, the environment sees that Python's packages.
 * @returns {Promise<string>}
 */
async function makeEnvironment() {
  const environment = privateEnvironment();
  const python = programOf(environment);
  if (fs.existsSync(python) && spawnSync(python, ['-m', 'pip', '--version']).status === 0) return python;
  const found = findPython();
  if (!found.path || found.reason) {
    throw new SetupError(`The private Python environment cannot be made: ${found.reason}.`, {
      waysOut: waysToLibtorch(),
    });
  }
  const shared = searchLibtorch().libtorch && !process.env.LIBTORCH ? ['--system-site-packages'] : [];
  fs.rmSync(environment, { recursive: true, force: true });
  fs.mkdirSync(cacheFolder(), { recursive: true });
  try {
    await step('private Python environment', found.path, ['-m', 'venv', ...shared, environment]);
  } catch (error) {
    // No ensurepip (a Debian without python3-venv): the system's pip, if there is one, can fill the environment.
    fs.rmSync(environment, { recursive: true, force: true });
    const waysOut = ['install the venv module of your Python (Debian: python3-venv)', ...waysToLibtorch()];
    try {
      await step('private Python environment without pip', found.path, ['-m', 'venv', '--without-pip', environment]);
      await step('pip for it', found.path, ['-m', 'pip', '--python', python, 'install', 'pip'], { waysOut });
    } catch {
      fs.rmSync(environment, { recursive: true, force: true });
      throw new SetupError('The private Python environment cannot be made.', { found: [String(error)], waysOut });
    }
  }
  return python;
}

/**
 * @param {string} name of the step
 * @param {string[]} args of `pip install`
 */
async function pipInstall(name, args) {
  const python = await makeEnvironment();
  await step(name, python, ['-m', 'pip', 'install', '--disable-pip-version-check', ...args], {
    progress: /(Downloading \S+|Installing collected)/,
    waysOut: [
      'check that pip reaches a package index (pip config list, PIP_INDEX_URL, proxies)',
      `free disk space in the cache folder ${cacheFolder()} and in TMPDIR`,
      ...waysToLibtorch().slice(1),
    ],
  });
}

/**
 * The libtorch to build with; installs PyTorch into the private environment when there is none.
 * @returns {Promise<import('./libtorch.cjs').Libtorch>}
 */
async function ensureLibtorch() {
  const { libtorch, candidates } = searchLibtorch();
  if (libtorch) return libtorch;
  const asked = candidates.at(-1)?.source;
  if (asked !== 'cache') {
    throw new SetupError(`${asked} was set, but what it names cannot be used.`, {
      found: describeCandidates(candidates),
      waysOut: waysToLibtorch(),
    });
  }
  const free = freeBytes(cacheFolder());
  if (free !== null && free < BYTES_NEEDED) {
    throw new SetupError(
      `PyTorch needs about ${BYTES_NEEDED / 1e9} GB in the cache folder, and ${(free / 1e9).toFixed(1)} GB are free there.`,
      { found: describeCandidates(candidates), waysOut: waysToLibtorch() },
    );
  }
  const environment = privateEnvironment();
  if (candidates.at(-1)?.reason?.includes('interrupted')) fs.rmSync(environment, { recursive: true, force: true });
  await pipInstall(`PyTorch ${wantedVersion()} (libtorch; a CUDA build takes about 5 GB)`, [
    `torch==${wantedVersion()}`,
    'numpy',
  ]);
  const installed = searchLibtorch();
  if (installed.libtorch) return installed.libtorch;
  throw new SetupError('PyTorch was installed, but is not usable as libtorch.', {
    found: describeCandidates(installed.candidates),
    waysOut: waysToLibtorch(),
  });
}

/** Installs the packages of the tests when their list has changed. */
async function ensureTestPackages() {
  const environment = privateEnvironment();
  const stamp = path.join(environment, '.test-requirements');
  const wanted = fingerprint([path.join('test', 'requirements.txt')]);
  if (hasStamp(stamp, wanted)) return;
  await pipInstall('Python packages of the tests', ['-r', path.join(root, 'test', 'requirements.txt')]);
  writeStamp(stamp, wanted);
}

/**
 * The private environment's Python with torch and what models/export needs; installs what is missing.
 * @returns {Promise<string>}
 */
async function ensureExportPython() {
  const python = programOf(privateEnvironment());
  if (fs.existsSync(python) && missingModules(python, EXPORT_MODULES) === '') return python;
  const made = await makeEnvironment();
  if (missingModules(made, ['torch']) !== '') {
    await pipInstall(`PyTorch ${wantedVersion()} for the exporter`, [`torch==${wantedVersion()}`, 'numpy']);
  }
  await pipInstall('Python packages of the exporter', ['-r', path.join(root, 'models', 'export', 'requirements.txt')]);
  return made;
}

/**
 * Found, not imported: importing torch takes seconds.
 * @param {string} python
 * @param {string[]} names
 * @returns {string} those that are missing; all of them when this Python does not start
 */
function missingModules(python, names) {
  const question = `import importlib.util as u; print(*[n for n in ${JSON.stringify(names)} if not u.find_spec(n)])`;
  const answer = spawnSync(python, ['-I', '-c', question], { encoding: 'utf8', timeout: 30_000 });
  return answer.status === 0 ? answer.stdout.trim() : names.join(' ');
}

/**
 * The Python with torch and the tests' packages, for the parity tests and models/.
 * @returns {{ path: string, reason: null } | { path: null, reason: string }} `reason`: why there is none
 */
function testPython() {
  const python = programOf(privateEnvironment());
  if (!fs.existsSync(python)) return { path: null, reason: `there is no private Python environment (${python})` };
  // Found, not imported: importing torch takes seconds.
  const question = `import importlib.util as u; print(*[n for n in ${JSON.stringify(TEST_MODULES)} if not u.find_spec(n)])`;
  const answer = spawnSync(python, ['-I', '-c', question], { encoding: 'utf8', timeout: 30_000 });
  if (answer.status !== 0) return { path: null, reason: `${python} does not start: ${answer.stderr ?? answer.error}` };
  const missing = answer.stdout.trim();
  return missing ? { path: null, reason: `${python} lacks ${missing}` } : { path: python, reason: null };
}

module.exports = {
  findPython,
  makeEnvironment,
  pipInstall,
  ensureLibtorch,
  ensureTestPackages,
  ensureExportPython,
  testPython,
  programOf,
};
