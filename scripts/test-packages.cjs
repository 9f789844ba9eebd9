'use strict';
// The Python packages of the tests (test/requirements.txt), in the private environment.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { root, fingerprint, hasStamp, writeStamp } = require('../setup/cache.cjs');
const { privateEnvironment } = require('../setup/libtorch.cjs');
const { pipInstall, programOf } = require('../setup/python.cjs');

/** What the parity tests and models/ import. */
const TEST_MODULES = [
  'torch',
  'numpy',
  'scipy',
  'diffusers',
  'transformers',
  'accelerate',
  'safetensors',
  'sentencepiece',
  'pytest',
];

/** Installs the packages of the tests when their list has changed. */
async function ensureTestPackages() {
  const environment = privateEnvironment();
  const stamp = path.join(environment, '.test-requirements');
  const digest = fingerprint([path.join('test', 'requirements.txt')]);
  if (hasStamp(stamp, digest)) return;
  await pipInstall('Python packages of the tests', ['-r', path.join(root, 'test', 'requirements.txt')]);
  writeStamp(stamp, digest);
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

module.exports = { ensureTestPackages, testPython };
