'use strict';
// Builds the addon with CMake: finds or fetches libtorch and cmake first. `node setup/build.cjs [--tests]` is what
// binding.gyp calls, and so what `node-gyp rebuild` and Electron's rebuild tool end in.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { FILES, SOURCES, cachedBuild, findPrebuilt, isComplete } = require('./addon.cjs');
const {
  root,
  buildFolder,
  fingerprint,
  hasStamp,
  isRepository,
  isWritable,
  makeFolder,
  requireRoom,
  writeStamp,
} = require('./cache.cjs');
const { explain } = require('./failure.cjs');
const { searchLibtorch } = require('./libtorch.cjs');
const { ensureNvcc } = require('./nvcc.cjs');
const { ensureLibtorch } = require('./pytorch.cjs');
const { ensureBuildTools, requireCompiler } = require('./toolchain.cjs');
const { step, say } = require('./steps.cjs');

/** CMake keeps generator and compiler for good: start over when they have changed. @param {string} folder @param {string} generator */
function forgetOtherGenerator(folder, generator) {
  const cache = path.join(folder, 'CMakeCache.txt');
  if (!fs.existsSync(cache)) return;
  const text = fs.readFileSync(cache, 'utf8');
  const same =
    text.includes(`CMAKE_GENERATOR:INTERNAL=${generator}`) && text.includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${root}\n`);
  if (!same) fs.rmSync(folder, { recursive: true, force: true });
}

/**
 * An installed package is built in the cache, where CMake's own files (600 MB) are not left in anybody's node_modules;
 * only the addon comes back, where the package may be written to: Electron's packagers look for it there.
 * @param {string} folder of the build
 */
function deliver(folder) {
  fs.rmSync(path.join(folder, 'cmake'), { recursive: true, force: true });
  const place = path.join(buildFolder(), 'Release');
  if (!isWritable(root)) {
    say(`  ${root} cannot be written to: the addon stays in ${folder}`);
    return;
  }
  makeFolder(place);
  // Renamed into place: a process that has the old one loaded keeps it.
  for (const file of FILES) {
    const temporary = path.join(place, `.${file}.${process.pid}`);
    fs.copyFileSync(path.join(folder, 'Release', file), temporary);
    fs.renameSync(temporary, path.join(place, file));
  }
}

/**
 * Builds what is missing or stale.
 * @param {{ tests?: boolean, prebuilt?: boolean }} [options] `tests`: the C++ tests too; `prebuilt`: false compiles also
 *   where a prebuilt addon fits
 * @returns {Promise<{ built: boolean, cmakeFolder: string }>}
 */
async function build({ tests = false, prebuilt = true } = {}) {
  // Before gigabytes are fetched for a machine that cannot compile.
  const present = searchLibtorch().libtorch;
  if (!present && !(prebuilt && fs.existsSync(path.join(root, 'prebuilds')))) requireCompiler();
  const libtorch = present ?? (await ensureLibtorch());
  const inCache = !isRepository && !process.env.DETAIL_GUIDANCE_BUILD;
  const fitting = prebuilt && inCache ? findPrebuilt() : null;
  if (fitting) {
    // Nothing is put into the cache, which this user may not have.
    say(`  prebuilt for libtorch ${libtorch.version}: ${fitting}`);
    return { built: false, cmakeFolder: path.join(buildFolder(), 'cmake') };
  }
  const folder = inCache ? cachedBuild() : buildFolder();
  const output = path.join(folder, 'Release');
  const cmakeFolder = path.join(folder, 'cmake');
  const nvcc = await ensureNvcc(libtorch);
  const sources = tests ? [...SOURCES, 'test/native'] : SOURCES;
  const facts = [libtorch, nvcc, process.env.CXX ?? null, process.env.DETAIL_GUIDANCE_CUDA_ARCHITECTURES ?? null];
  // A folder in the cache serves every project that has these very sources.
  if (!inCache) facts.push(root);
  const addonStamp = path.join(folder, 'stamps', 'native');
  const stamp = tests ? path.join(folder, 'stamps', 'native-and-tests') : addonStamp;
  const digest = fingerprint(sources, facts);
  if (isComplete(output) && hasStamp(stamp, digest)) {
    if (inCache && !isComplete(path.join(buildFolder(), 'Release'))) deliver(folder);
    return { built: false, cmakeFolder };
  }

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
  writeStamp(stamp, digest);
  if (tests) writeStamp(addonStamp, fingerprint(SOURCES, facts));
  if (inCache) deliver(folder);
  return { built: true, cmakeFolder };
}

module.exports = { build };

if (require.main === module) {
  build({ tests: process.argv.includes('--tests') }).catch((error) => {
    say(explain(error).message);
    process.exitCode = 1;
  });
}
