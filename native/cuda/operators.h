#pragma once

#include <string>

namespace dg::cuda {

// Gives the operators of native/core their kernels on CUDA; where shapes do not fit a kernel, they remain the separate
// operators of libtorch. Once per process; again is fine. Does nothing in a build without nvcc.
void registerKernels();

// What the kernels were compiled for; empty in a build without nvcc.
std::string architectures();

}  // namespace dg::cuda
