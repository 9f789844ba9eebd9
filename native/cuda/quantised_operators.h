#pragma once

#include <torch/library.h>

namespace dg::cuda {

// Kernels of the operators in native/core/operators/quantise_rows.h. In a build with nvcc alone.
void registerQuantisedKernels(torch::Library& library);

}  // namespace dg::cuda
