'use strict';
// The programs of the native build: a C++20 compiler, cmake, and ninja or make.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { findCacheFolder } = require('./cache.cjs');
const { SetupError } = require('./failure.cjs');
const { privateEnvironment } = require('./libtorch.cjs');
const { pipInstall, programOf } = require('./python.cjs');

const CMAKE = { major: 3, minor: 18 };
/** First versions whose C++20 is enough for libtorch's headers and ours. */
const COMPILERS = { gcc: 11, clang: 14 };

/** @param {string} program @param {string[]} [args] @returns {string | null} first line of its answer */
function ask(program, args = ['--version']) {
  const answer = spawnSync(program, args, { encoding: 'utf8', timeout: 30_000 });
  return answer.status === 0 ? (answer.stdout.split('\n')[0] ?? '') : null;
}

/**
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {{ path: string | null, version: string | null, reason: string | null }}
 */
function findCompiler(env = process.env) {
  if (process.platform === 'win32') return { path: 'msvc', version: null, reason: null };
  const names = env.CXX ? [env.CXX] : ['g++', 'c++', 'clang++'];
  const path = names.find((name) => ask(name) !== null);
  if (!path) return { path: null, version: null, reason: `there is no ${names.join(', ')} on PATH` };
  const kind = /clang/i.test(ask(path) ?? '') ? 'clang' : 'gcc';
  const version = ask(path, ['-dumpfullversion', '-dumpversion']);
  const tooOld = Number.parseInt(version ?? '', 10) < COMPILERS[kind];
  return {
    path,
    version,
    reason: tooOld ? `${path} is ${kind} ${version}; ${COMPILERS[kind]} or newer is needed` : null,
  };
}

/** @throws {SetupError} when there is no usable compiler */
function requireCompiler() {
  const compiler = findCompiler();
  if (compiler.path && !compiler.reason) return compiler.path;
  throw new SetupError(`The native addon cannot be compiled: ${compiler.reason}.`, {
    waysOut: [
      `install a C++20 compiler: GCC ${COMPILERS.gcc} or newer (Debian: g++ and make), or Clang ${COMPILERS.clang} or newer`,
      'CXX=/path/to/compiler names one that is not on PATH',
    ],
  });
}

/**
 * cmake and ninja on PATH or in the private environment; installs none.
 * @returns {{ cmake: string | null, version: string | null, ninja: string | null, make: string | null, reason: string | null }}
 */
function findBuildTools() {
  /** @param {string} name */
  const places = (name) => (findCacheFolder() ? [name, programOf(privateEnvironment(), name)] : [name]);
  /** @type {string[]} */
  const refused = [];
  let cmake = null;
  let version = null;
  for (const place of places('cmake')) {
    version = ask(place)?.match(/\d+\.\d+\.\d+/)?.[0] ?? null;
    const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
    if (major > CMAKE.major || (major === CMAKE.major && minor >= CMAKE.minor)) {
      cmake = place;
      break;
    }
    if (version) refused.push(`${place} is ${version}; ${CMAKE.major}.${CMAKE.minor} or newer is needed`);
  }
  const ninja = places('ninja').find((place) => ask(place) !== null) ?? null;
  const make = ask('make') !== null ? 'make' : null;
  const reason = cmake ? null : refused.join('; ') || 'there is no cmake on PATH';
  return { cmake, version: cmake ? version : null, ninja, make, reason };
}

/**
 * cmake with ninja (or make); fetches cmake and ninja into the private environment when they are missing.
 * @returns {Promise<{ cmake: string, ninja: string | null }>}
 */
async function ensureBuildTools() {
  let tools = findBuildTools();
  if (!tools.cmake || (!tools.ninja && !tools.make)) {
    await pipInstall('cmake and ninja', ['cmake>=3.18', 'ninja']);
    tools = findBuildTools();
  }
  if (tools.cmake) return { cmake: tools.cmake, ninja: tools.ninja };
  throw new SetupError(`cmake cannot be used: ${tools.reason}.`, {
    found: [`private environment: ${fs.existsSync(privateEnvironment()) ? 'there' : 'missing'}`],
    waysOut: [
      `install cmake ${CMAKE.major}.${CMAKE.minor} or newer`,
      'install python3 with venv, so that set-up can fetch cmake',
    ],
  });
}

module.exports = { findCompiler, requireCompiler, findBuildTools, ensureBuildTools };
