'use strict';
// The Python of `detail-guidance export`: the private environment with torch and what models/export imports.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { root } = require('./cache.cjs');
const { SetupError } = require('./failure.cjs');
const { privateEnvironment, wantedVersion } = require('./libtorch.cjs');
const { exclusively } = require('./lock.cjs');
const { makeEnvironment, missingModules, pipInstall, programOf } = require('./python.cjs');
const { choosePyTorch } = require('./pytorch.cjs');

/** What models/export imports. */
const MODULES = [
  'torch',
  'numpy',
  'diffusers',
  'transformers',
  'accelerate',
  'safetensors',
  'sentencepiece',
  // Protobuf.
  'google',
];

/** The oldest Python that diffusers runs in. */
const MINOR = 11;

/**
 * @param {string} python
 * @throws {SetupError} for one that is too old
 */
function refuseOldPython(python) {
  const { stdout } = spawnSync(python, ['-I', '-c', 'import sys; print(sys.version_info[1])'], { encoding: 'utf8' });
  if (Number(stdout) >= MINOR) return;
  throw new SetupError(
    `The exporter needs Python 3.${MINOR} or newer; the private environment has 3.${stdout.trim()}.`,
    {
      waysOut: [
        `put a python3 of 3.${MINOR} or newer first on PATH, remove ${privateEnvironment()}, and run the command again`,
      ],
    },
  );
}

/**
 * Installs what is missing.
 * @returns {Promise<string>} the Python
 */
async function ensureExportPython() {
  const python = programOf(privateEnvironment());
  const isWhole = () => fs.existsSync(python) && missingModules(python, MODULES) === '';
  return isWhole() ? python : exclusively(async () => (isWhole() ? python : complete()));
}

async function complete() {
  const environment = await makeEnvironment();
  if (missingModules(environment, ['torch']) !== '') {
    const { requirement } = await choosePyTorch();
    await pipInstall(`PyTorch ${wantedVersion()} for the exporter`, [requirement, 'numpy']);
  }
  refuseOldPython(environment);
  // Each with its checksum; what they depend on is in the list too, except torch.
  const list = path.join(root, 'models', 'export', 'requirements.lock.txt');
  await pipInstall('Python packages of the exporter', ['--no-deps', '--require-hashes', '-r', list]);
  return environment;
}

module.exports = { ensureExportPython };
