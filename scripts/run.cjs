'use strict';
// The repository's commands (`npm run demo`, `npm test`, ...): each does all of the set-up that is missing, then its
// work. Runs before `npm ci`, so it uses nothing but Node.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { root, buildFolder, fingerprint, hasStamp, isWritable, writeStamp } = require('../setup/cache.cjs');
const { SetupError, explain } = require('../setup/failure.cjs');
const { programPath } = require('./programs.cjs');
const { ensureTestPackages } = require('./test-packages.cjs');
const { elapsed, say, step } = require('../setup/steps.cjs');

/** @param {string} file @returns {any} */
function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(path.join(root, file), 'utf8'));
  } catch {
    return null;
  }
}

/** Whether node_modules is what package-lock.json says; npm leaves its own copy of the lock in node_modules. */
function nodePackagesAreCurrent() {
  const locked = readJson('package-lock.json')?.packages;
  const present = readJson('node_modules/.package-lock.json')?.packages;
  if (!locked || !present) return false;
  return Object.entries(locked).every(
    ([place, entry]) =>
      place === '' ||
      entry.optional ||
      (entry.integrity === present[place]?.integrity && entry.version === present[place]?.version),
  );
}

async function ensureNodePackages() {
  if (nodePackagesAreCurrent()) return;
  const npm = process.env.npm_execpath;
  // No install scripts: this package's own would build, and those of the others only check what npm has done.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  await step('npm ci', npm ? process.execPath : 'npm', npm ? [npm, ...args] : args, { cwd: root });
}

/** Builds dist/ (the JavaScript package, and the studio's page) when lib/ or studio/ has changed. */
async function ensureDist() {
  const stamp = path.join(buildFolder(), 'stamps', 'dist');
  const sources = ['lib', 'studio', 'scripts/declarations.cjs', 'tsup.config.ts', 'tsconfig.json'];
  const digest = fingerprint([...sources, 'package.json', 'package-lock.json']);
  const complete = ['index.js', 'index.cjs', 'index.d.ts', 'cli.js', 'studio/index.html'].every((file) =>
    fs.existsSync(path.join(root, 'dist', file)),
  );
  if (complete && hasStamp(stamp, digest)) return;
  await step('tsup: build dist', process.execPath, [programPath('tsup')], { cwd: root });
  await step('tidy the declarations', process.execPath, [path.join('scripts', 'declarations.cjs')], { cwd: root });
  // After tsup, which empties dist.
  const page = [programPath('vite'), 'build', '--config', path.join('studio', 'vite.config.ts')];
  await step('vite: build the studio', process.execPath, page, { cwd: root });
  writeStamp(stamp, digest);
}

/** @param {{ tests?: boolean }} [options] */
async function setUp({ tests = false } = {}) {
  const started = Date.now();
  await ensureNodePackages();
  await require('../setup/build.cjs').build({ tests });
  await ensureDist();
  say(`Set-up is complete (${elapsed(started)}).`);
}

/** @param {string} program @param {string[]} args @returns {number} exit status */
const pass = (program, args) => spawnSync(program, args, { cwd: root, stdio: 'inherit' }).status ?? 1;

/** Packages, build and picture go into the checkout. */
function requireOwnCheckout() {
  if (isWritable(root)) return;
  throw new SetupError(`${root} cannot be written to by this user, and set-up builds in it.`, {
    waysOut: [
      `a copy of your own: git clone ${root} ${path.basename(root)}`,
      `once it is built, its program runs from anywhere: node ${path.join(root, 'dist', 'cli.js')} demo --out demo.png`,
    ],
  });
}

/** @param {'main' | 'server' | 'studio'} program @param {string[]} args */
async function bench(program, args) {
  await setUp();
  await ensureTestPackages();
  await step('tsup: build the benchmark', process.execPath, [programPath('tsup'), '--config', 'bench/tsup.config.ts'], {
    cwd: root,
  });
  return pass(process.execPath, [path.join('build', 'bench', `${program}.cjs`), ...args]);
}

/** @type {Record<string, (args: string[]) => Promise<number>>} */
const COMMANDS = {
  async demo(args) {
    await setUp();
    return pass(process.execPath, ['dist/cli.js', 'demo', '--out', path.join(root, 'demo.png'), ...args]);
  },
  async build(args) {
    await setUp({ tests: args.includes('--tests') });
    return 0;
  },
  async doctor(args) {
    if (isWritable(root)) {
      await ensureNodePackages();
      await ensureDist();
    }
    return pass(process.execPath, ['dist/cli.js', 'doctor', ...args]);
  },
  async test(args) {
    await ensureNodePackages();
    return require('./checks.cjs').runChecks({ only: args, ensureDist });
  },
  async lint() {
    await ensureNodePackages();
    return require('./checks.cjs').runChecks({ only: ['lint'], ensureDist });
  },
  async format() {
    await ensureNodePackages();
    return require('./checks.cjs').format();
  },
  bench: (args) => bench('main', args),
  'bench:server': (args) => bench('server', args),
  'bench:studio': (args) => bench('studio', args),
};

/**
 * @param {string[]} argv a command's name and its arguments
 * @returns {Promise<number>} exit status
 */
async function main([name = '', ...args]) {
  const command = COMMANDS[name];
  try {
    if (!command) throw new SetupError(`Unknown command ${name}.`, { waysOut: Object.keys(COMMANDS) });
    if (name !== 'doctor') requireOwnCheckout();
    return await command(args);
  } catch (thrown) {
    const error = explain(thrown);
    say(error instanceof SetupError ? error.message : (error.stack ?? String(error)));
    return 1;
  }
}

module.exports = { COMMANDS, main };

if (require.main === module) {
  main(process.argv.slice(2)).then((status) => {
    process.exitCode = status;
  });
}
