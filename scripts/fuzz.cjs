'use strict';
// `npm run fuzz`: bundles test/fuzz and runs it. Arguments go on to it.

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { buildSync } = require('esbuild');
const { root } = require('../setup/cache.cjs');

const program = path.join(root, 'build', 'hostile', 'fuzz.cjs');
buildSync({
  entryPoints: [path.join(root, 'test', 'fuzz', 'main.ts')],
  outfile: program,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  logLevel: 'error',
  external: ['esbuild'],
});
const { status } = spawnSync(process.execPath, [program, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, FUZZ_ROOT: root },
});
process.exitCode = status ?? 1;
