'use strict';
// Called by CMake after the addon was linked: writes build-info.json beside it, so that the addon can be matched with
// the libtorch found at run time. Arguments: output folder, libtorch's library folder, its headers, the compiler, what
// the CUDA kernels were compiled for (empty: there are none), nvcc, why there is none.

const fs = require('node:fs');
const path = require('node:path');
const { inspect, libraryFile } = require('./libtorch.cjs');
const { nvccVersion } = require('./nvcc.cjs');

/** @param {string[]} args */
function main([output = '', lib = '', include = '', compiler = '', architectures = '', nvcc = '', nvccReason = '']) {
  const folder = path.dirname(lib);
  const { libtorch, reason } = inspect(folder, { lib, include });
  if (!libtorch) throw new Error(`libtorch in ${folder}: ${reason}`);
  const info = {
    libtorchVersion: libtorch.version,
    libtorchPath: libtorch.path,
    libtorchLib: libtorch.lib,
    cuda: libtorch.cuda !== null,
    cudaReason: libtorch.cuda
      ? null
      : `this libtorch is a CPU build (${path.join(lib, libraryFile('torch_cuda'))} is missing)`,
    kernels: architectures ? { architectures, nvcc: nvccVersion(nvcc) } : null,
    kernelsReason: architectures ? null : nvccReason,
    node: process.version,
    compiler,
    builtAt: new Date().toISOString(),
  };
  fs.writeFileSync(path.join(output, 'build-info.json'), `${JSON.stringify(info, null, 2)}\n`);
}

main(process.argv.slice(2));
