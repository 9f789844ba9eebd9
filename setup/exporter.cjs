'use strict';
// The Python of `detail-guidance export`: the private environment with torch and what models/export imports.

const fs = require('node:fs');
const path = require('node:path');
const { root } = require('./cache.cjs');
const { privateEnvironment, wantedVersion } = require('./libtorch.cjs');
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

/**
 * Installs what is missing.
 * @returns {Promise<string>} the Python
 */
async function ensureExportPython() {
  const python = programOf(privateEnvironment());
  if (fs.existsSync(python) && missingModules(python, MODULES) === '') return python;
  const made = await makeEnvironment();
  if (missingModules(made, ['torch']) !== '') {
    const { requirement } = await choosePyTorch();
    await pipInstall(`PyTorch ${wantedVersion()} for the exporter`, [requirement, 'numpy']);
  }
  await pipInstall('Python packages of the exporter', ['-r', path.join(root, 'models', 'export', 'requirements.txt')]);
  return made;
}

module.exports = { ensureExportPython };
