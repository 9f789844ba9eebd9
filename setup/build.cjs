'use strict';
// Builds the addon with CMake: finds or fetches libtorch and cmake first. `node setup/build.cjs [--tests]` is what
// binding.gyp calls, and so what `node-gyp rebuild` and Electron's rebuild tool end in.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { FILES, isComplete } = require('./addon.cjs');
const { root, buildFolder, isRepository, isWritable, makeFolder, requireRoom, writeStamp } = require('./cache.cjs');
const { explain } = require('./failure.cjs');
const { searchLibtorch } = require('./libtorch.cjs');
const { exclusively } = require('./lock.cjs');
const { ensureNvcc, fetchesNvcc, findNvcc } = require('./nvcc.cjs');
const { ensureLibtorch } = require('./pytorch.cjs');
const { fittingPrebuilt, mayBePrebuilt, targetOf } = require('./target.cjs');
const { ensureBuildTools, requireCompiler } = require('./toolchain.cjs');
const { step, say } = require('./steps.cjs');

/** @typedef {import('./libtorch.cjs').Libtorch} Libtorch */
/** @typedef {import('./target.cjs').Target} Target */

/** CMake keeps generator and compiler for good: start over when they have changed. @param {string} folder @param {string} generator */
function forgetOtherGenerator(folder, generator) {
  const cache = path.join(folder, 'CMakeCache.txt');
  if (!fs.existsSync(cache)) return;
  const text = fs.readFileSync(cache, 'utf8');
  const same =
    text.includes(`CMAKE_GENERATOR:INTERNAL=${generator}`) && text.includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${root}\n`);
  if (!same) fs.rmSync(folder, { recursive: true, force: true });
}

/** What is known of the addon in a folder, as it stands there. @param {string} folder */
function infoIn(folder) {
  const file = path.join(folder, 'build-info.json');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : null;
}

/** @param {string} text @returns {Record<string, unknown>} nothing where it is damaged */
function readJson(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

/**
 * An installed package is built in the cache, where CMake's own files (600 MB) are not left in anybody's node_modules;
 * only the addon comes back, where the package may be written to: Electron's packagers look for it there.
 * @param {Target} target
 */
function deliver({ folder, output, cmakeFolder }) {
  fs.rmSync(cmakeFolder, { recursive: true, force: true });
  const place = path.join(buildFolder(), 'Release');
  if (isComplete(place) && infoIn(place) === infoIn(output)) return;
  if (!isWritable(root)) {
    say(`  ${root} cannot be written to: the addon stays in ${folder}`);
    return;
  }
  makeFolder(place);
  // Renamed into place: a process that has the old one loaded keeps it. What tells which one it is comes last.
  for (const file of FILES) {
    const temporary = path.join(place, `.${file}.${process.pid}`);
    fs.copyFileSync(path.join(output, file), temporary);
    fs.renameSync(temporary, path.join(place, file));
  }
}

/**
 * Where a prebuilt addon fits, one that was built for another libtorch is in its way: it would be found first.
 * @param {Libtorch} libtorch
 */
function clearOutdated({ version, cuda }) {
  const place = path.join(buildFolder(), 'Release');
  const text = infoIn(place);
  if (!text || !isWritable(root)) return;
  const { libtorchVersion = 'of no known version', cuda: hasCuda } = readJson(text);
  if (libtorchVersion === version && hasCuda === (cuda !== null)) return;
  say(`  removing the addon for libtorch ${libtorchVersion} in ${place}`);
  fs.rmSync(place, { recursive: true, force: true });
}

/**
 * @typedef {object} BuildOptions
 * @property {boolean} [tests] the C++ tests too
 * @property {boolean} [prebuilt] false compiles also where a prebuilt addon fits
 *
 * @typedef {{ built: boolean, cmakeFolder: string }} Built
 */

/**
 * Builds what is missing or stale.
 * @param {BuildOptions} [options]
 * @returns {Promise<Built>}
 */
async function build({ tests = false, prebuilt = true } = {}) {
  const { libtorch } = searchLibtorch();
  // Before gigabytes are fetched for a machine that cannot compile.
  if (!libtorch && !mayBePrebuilt(prebuilt)) requireCompiler();
  return (libtorch && whatIsThere(libtorch, { tests, prebuilt })) ?? exclusively(() => complete({ tests, prebuilt }));
}

/**
 * @param {Libtorch} libtorch
 * @param {Required<BuildOptions>} options
 * @returns {Built | null} null: something is to be done
 */
function whatIsThere(libtorch, { tests, prebuilt }) {
  const fitting = fittingPrebuilt(libtorch, prebuilt);
  if (fitting) {
    // Nothing is put into the cache, which this user may not have.
    clearOutdated(libtorch);
    say(`  prebuilt for libtorch ${libtorch.version}: ${fitting}`);
    return { built: false, cmakeFolder: path.join(buildFolder(), 'cmake') };
  }
  const nvcc = findNvcc(libtorch);
  const target = targetOf(libtorch, nvcc, { tests });
  if (fetchesNvcc(libtorch, nvcc) || !target.isThere) return null;
  if (target.isCached) deliver(target);
  return { built: false, cmakeFolder: target.cmakeFolder };
}

/** @param {Required<BuildOptions>} options @returns {Promise<Built>} */
async function complete({ tests, prebuilt }) {
  const libtorch = await ensureLibtorch();
  // Prebuilt for the libtorch that has come, or built by who was first.
  const there = whatIsThere(libtorch, { tests, prebuilt });
  if (there) return there;
  const target = targetOf(libtorch, await ensureNvcc(libtorch), { tests });
  if (!target.isThere) await compile(libtorch, target, tests);
  if (target.isCached) deliver(target);
  return { built: !target.isThere, cmakeFolder: target.cmakeFolder };
}

/** @param {Libtorch} libtorch @param {Target} target @param {boolean} tests */
async function compile(libtorch, { folder, output, cmakeFolder, nvcc, stamps }, tests) {
  const compiler = requireCompiler();
  if (!fs.existsSync(cmakeFolder)) requireRoom('The build of the addon', 0.7, { folder });
  const { cmake, ninja } = await ensureBuildTools();
  const generator = ninja ? 'Ninja' : process.platform === 'win32' ? 'NMake Makefiles' : 'Unix Makefiles';
  forgetOtherGenerator(cmakeFolder, generator);
  say(
    `  with libtorch ${libtorch.version} (${libtorch.cuda ? `CUDA ${libtorch.cuda}` : 'CPU build'}) in ${libtorch.path}`,
  );
  const settings = [
    `-DCMAKE_BUILD_TYPE=Release`,
    `-DTORCH_DIR=${libtorch.path}`,
    `-DTORCH_INCLUDE=${libtorch.include}`,
    `-DTORCH_LIB=${libtorch.lib}`,
    `-DCUDA_INCLUDE=${libtorch.cudaInclude ?? ''}`,
    `-DNVCC=${nvcc.path ?? ''}`,
    `-DNVCC_REASON=${nvcc.reason ?? ''}`,
    ...(process.env.DETAIL_GUIDANCE_CUDA_ARCHITECTURES
      ? [`-DCUDA_ARCHITECTURES=${process.env.DETAIL_GUIDANCE_CUDA_ARCHITECTURES}`]
      : []),
    `-DDETAIL_GUIDANCE_OUTPUT=${output}`,
    ...(process.platform === 'win32' ? [] : [`-DCMAKE_CXX_COMPILER=${compiler}`]),
    ...(ninja ? [`-DCMAKE_MAKE_PROGRAM=${ninja}`] : []),
    `-DDETAIL_GUIDANCE_TESTS=${isRepository ? 'ON' : 'OFF'}`,
  ];
  await step('cmake: configure', cmake, ['-S', root, '-B', cmakeFolder, '-G', generator, ...settings]);
  const targets = tests ? [] : ['--target', 'detail_guidance', 'preload'];
  const jobs = String(process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? Math.min(os.availableParallelism(), 8));
  await step(
    tests ? 'cmake: compile the addon and the C++ tests' : 'cmake: compile the addon',
    cmake,
    ['--build', cmakeFolder, '--config', 'Release', '-j', jobs, ...targets],
    {
      progress: /\[ *\d+(\/\d+|%)\]/,
      waysOut: ['if the compiler was killed, memory ran out: CMAKE_BUILD_PARALLEL_LEVEL=1'],
    },
  );
  for (const { file, digest } of stamps) writeStamp(file, digest);
}

module.exports = { build };

if (require.main === module) {
  build({ tests: process.argv.includes('--tests') }).catch((error) => {
    say(explain(error).message);
    process.exitCode = 1;
  });
}
