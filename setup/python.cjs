'use strict';
// The private Python environment: made by the user's python3, filled by its own pip.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { cacheFolder, makeCacheFolder, requireRoom } = require('./cache.cjs');
const { SetupError } = require('./failure.cjs');
const { privateEnvironment, searchLibtorch, waysToLibtorch } = require('./libtorch.cjs');
const { exclusively } = require('./lock.cjs');
const { announce, execute, step } = require('./steps.cjs');

const PYTHON = { major: 3, minor: 10 };

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
  const python = programOf(privateEnvironment());
  const isWhole = () => fs.existsSync(python) && spawnSync(python, ['-m', 'pip', '--version']).status === 0;
  if (!isWhole()) {
    await exclusively(async () => {
      if (!isWhole()) await makeAnew(python);
    });
  }
  return python;
}

/** @param {string} python of the environment */
async function makeAnew(python) {
  const environment = privateEnvironment();
  const interpreter = findPython();
  if (!interpreter.path || interpreter.reason) {
    throw new SetupError(`The private Python environment cannot be made: ${interpreter.reason}.`, {
      waysOut: waysToLibtorch(),
    });
  }
  const shared = searchLibtorch().libtorch && !process.env.LIBTORCH ? ['--system-site-packages'] : [];
  makeCacheFolder();
  fs.rmSync(environment, { recursive: true, force: true });
  requireRoom('The private Python environment', 0.1);
  try {
    await step('private Python environment', interpreter.path, ['-m', 'venv', ...shared, environment]);
  } catch (error) {
    // No ensurepip (a Debian without python3-venv): the system's pip, if there is one, can fill the environment.
    fs.rmSync(environment, { recursive: true, force: true });
    const waysOut = ['install the venv module of your Python (Debian: python3-venv)', ...waysToLibtorch()];
    try {
      await step('private Python environment without pip', interpreter.path, [
        '-m',
        'venv',
        '--without-pip',
        environment,
      ]);
      await step('pip for it', interpreter.path, ['-m', 'pip', '--python', python, 'install', 'pip'], { waysOut });
    } catch {
      fs.rmSync(environment, { recursive: true, force: true });
      const { message, found } = /** @type {SetupError} */ (error);
      throw new SetupError('The private Python environment cannot be made.', {
        found: [message.split('\nWhat was looked at')[0] ?? '', ...(found ?? [])],
        waysOut,
      });
    }
  }
}

/**
 * @param {string} name of the step
 * @param {string[]} args of `pip install`
 */
async function pipInstall(name, args) {
  const waysOut = [
    'check that pip reaches a package index (pip config list, PIP_INDEX_URL, proxies)',
    `free disk space in the cache folder ${cacheFolder()} and in TMPDIR`,
    ...waysToLibtorch().slice(1),
  ];
  const progress = /(Downloading \S+|Installing collected|Retrying)/;
  await exclusively(async () => {
    const python = await makeEnvironment();
    const command = ['-m', 'pip', 'install', '--disable-pip-version-check', ...args];
    await step(name, python, command, { progress, waysOut });
  });
}

/**
 * Whether pip's package index offers exactly this, for this Python and machine. Downloads nothing.
 * @param {string} requirement such as `torch==2.11.0+cpu`
 * @returns {Promise<boolean>} false as well where pip is too old to say (before 22.2)
 * @throws {SetupError} where no index answers, or it has no version at all
 */
async function pipOffers(requirement) {
  const python = await makeEnvironment();
  const args = ['install', '--dry-run', '--no-deps', '--ignore-installed', '--quiet', requirement];
  // pip's own five retries of 15 s each are long for a question; what the user set goes first.
  const env = { ...process.env, PIP_RETRIES: process.env.PIP_RETRIES ?? '1' };
  let said = '';
  const ask = () => execute(python, ['-m', 'pip', ...args], { env, onOutput: (text) => (said += text) });
  const status = await announce(`whether the package index has ${requirement}`, ask);
  // One that has no version at all has no other build either.
  if (status !== 0 && said.includes('from versions: none')) {
    const silent = said.includes('Retrying (');
    throw new SetupError(
      silent
        ? 'The package index of pip does not answer.'
        : `The package index of pip has no PyTorch for this machine and ${interpreterOf(python)}.`,
      {
        found: silent ? reasonsOf(said) : said.trim().split('\n').slice(0, 3),
        waysOut: [
          'check the network, proxies and which index pip asks (pip config list, PIP_INDEX_URL)',
          ...(silent ? [] : ['put a python3 that PyTorch has builds for first on PATH, and remove the cache folder']),
          ...waysToLibtorch().slice(2, 4),
        ],
      },
    );
  }
  return status === 0;
}

/** Why pip tried again, the last time. @param {string} said by pip */
const reasonsOf = (said) =>
  [...said.matchAll(/after connection broken by '(.*)': /g)].map(([, reason = '']) => reason).slice(-1);

/** @param {string} python @returns {string} such as `Python 3.11.2` */
const interpreterOf = (python) => spawnSync(python, ['--version'], { encoding: 'utf8' }).stdout.trim();

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

module.exports = { findPython, makeEnvironment, pipInstall, pipOffers, missingModules, programOf };
