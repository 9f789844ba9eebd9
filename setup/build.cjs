'use strict';
// Builds the addon with CMake: finds or fetches libtorch and cmake first. `node setup/build.cjs [--tests]` is what
// binding.gyp calls, and so what `node-gyp rebuild` and Electron's rebuild tool end in.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { root, buildFolder, fingerprint, hasStamp, writeStamp } = require('./cache.cjs');
const { ensureNvcc } = require('./nvcc.cjs');
const { ensureLibtorch } = require('./python.cjs');
const { ensureBuildTools, requireCompiler } = require('./toolchain.cjs');
const { step, say } = require('./steps.cjs');

/** What the native build depends on, the C++ tests apart. */
const SOURCES = ['CMakeLists.txt', 'native', 'setup/build.cjs', 'setup/build-info.cjs', 'setup/nvcc.cjs'];

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
 * Builds what is missing or stale.
 * @param {{ tests?: boolean, build?: string }} [options] `tests`: the C++ tests too; `build`: folder of the build
 * @returns {Promise<{ built: boolean, cmakeFolder: string }>}
 */
async function build({ tests = false, build: folder = buildFolder() } = {}) {
  const libtorch = await ensureLibtorch();
  const nvcc = await ensureNvcc(libtorch);
  const output = path.join(folder, 'Release');
  const cmakeFolder = path.join(folder, 'cmake');
  const sources = tests ? [...SOURCES, 'test/native'] : SOURCES;
  const facts = [libtorch, nvcc, process.env.CXX ?? null, process.env.DETAIL_GUIDANCE_CUDA_ARCHITECTURES ?? null, root];
  const addonStamp = path.join(folder, 'stamps', 'native');
  const stamp = tests ? path.join(folder, 'stamps', 'native-and-tests') : addonStamp;
  const wanted = fingerprint(sources, facts);
  const files = ['detail_guidance.node', 'preload.node', 'build-info.json'];
  const complete = files.every((file) => fs.existsSync(path.join(output, file)));
  if (complete && hasStamp(stamp, wanted)) return { built: false, cmakeFolder };

  const compiler = requireCompiler();
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
  writeStamp(stamp, wanted);
  if (tests) writeStamp(addonStamp, fingerprint(SOURCES, facts));
  return { built: true, cmakeFolder };
}

module.exports = { build };

if (require.main === module) {
  build({ tests: process.argv.includes('--tests') }).catch((error) => {
    say(error.message);
    process.exitCode = 1;
  });
}
