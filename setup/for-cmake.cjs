'use strict';
// For CMakeLists.txt, when it is run without TORCH_DIR: a CMake list of libtorch, CUDA headers, headers, libraries, nvcc.

const { findLibtorch } = require('./libtorch.cjs');
const { findNvcc } = require('./nvcc.cjs');

try {
  const libtorch = findLibtorch();
  const { path: folder, cudaInclude, include, lib } = libtorch;
  const { path: nvcc } = findNvcc(libtorch);
  process.stdout.write([folder, cudaInclude ?? '', include, lib, nvcc ?? 'NOTFOUND'].join(';'));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
