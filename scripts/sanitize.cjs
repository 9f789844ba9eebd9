'use strict';
// `npm run test:sanitize [-- asan-ubsan|tsan]`: the C++ tests and a generation in Node with AddressSanitizer and
// UndefinedBehaviorSanitizer, the threads of the binding with ThreadSanitizer, in builds of their own (CMakePresets.json,
// build/PRESET). libtorch itself is not instrumented: reads and writes of our code are checked, leaks are not reported.
// ThreadSanitizer takes what libtorch's threads agree on by atomics for races, so it gets what runs without libtorch:
// all threads of ours, and whatever is passed between them (test/native/binding).

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const { root } = require('../setup/cache.cjs');
const { ensureLibtorch } = require('../setup/pytorch.cjs');
const { say, step } = require('../setup/steps.cjs');
const { ensureBuildTools, requireCompiler } = require('../setup/toolchain.cjs');

// CUDA's libraries export parts of a C++ library of their own, which frees what ours has made; memory that there is not is
// an error of libtorch's that tests expect.
const asanOptions =
  'detect_leaks=0:detect_container_overflow=0:alloc_dealloc_mismatch=0:allocator_may_return_null=1:halt_on_error=1';

const PRESETS = ['asan-ubsan', 'tsan'];

/** The sanitizer's run time, which has to be loaded before Node's own libraries. @param {string} compiler */
function runtimeOf(compiler) {
  const { stdout } = spawnSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  return stdout.trim();
}

/** @param {string} preset @returns {Promise<void>} */
async function sanitize(preset) {
  const libtorch = await ensureLibtorch();
  const { cmake, ninja } = await ensureBuildTools();
  const compiler = requireCompiler();
  const settings = [
    `-DTORCH_DIR=${libtorch.path}`,
    `-DTORCH_INCLUDE=${libtorch.include}`,
    `-DTORCH_LIB=${libtorch.lib}`,
    `-DCUDA_INCLUDE=${libtorch.cudaInclude ?? ''}`,
    `-DCMAKE_CXX_COMPILER=${compiler}`,
    ...(ninja ? ['-G', 'Ninja', `-DCMAKE_MAKE_PROGRAM=${ninja}`] : []),
  ];
  await step(`${preset}: configure`, cmake, ['--preset', preset, ...settings], { cwd: root });
  const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? '2';
  await step(`${preset}: compile`, cmake, ['--build', '--preset', preset, '-j', jobs], {
    cwd: root,
    progress: /\[ *\d+(\/\d+|%)\]/,
  });
  const ctest = path.join(path.dirname(cmake), 'ctest');
  await step(`${preset}: C++ tests`, ctest, ['--preset', preset], { cwd: root });
  if (preset !== 'asan-ubsan') return;
  const env = {
    ...process.env,
    DETAIL_GUIDANCE_BUILD: path.join(root, 'build', preset),
    LD_PRELOAD: runtimeOf(compiler),
    ASAN_OPTIONS: asanOptions,
  };
  const generate = [
    'dist/cli.js',
    'generate',
    'embedded',
    '--class',
    '1',
    '--steps',
    '3',
    '--out',
    path.join(root, 'build', preset, 'x.png'),
  ];
  await step(`${preset}: a generation in Node`, process.execPath, generate, { cwd: root, env });
}

async function main() {
  const chosen = process.argv.slice(2);
  const unknown = chosen.find((name) => !PRESETS.includes(name));
  if (unknown !== undefined) throw new Error(`expected some of ${PRESETS.join(', ')}, received ${unknown}`);
  for (const preset of chosen.length > 0 ? chosen : PRESETS) await sanitize(preset);
}

main().catch((error) => {
  say(error.message);
  process.exitCode = 1;
});
