#pragma once

namespace dg::cuda {

// Gives the core what this folder has: kernels, what captures CUDA graphs and what knows compute capabilities. Called
// before a model is loaded.
void install();

}  // namespace dg::cuda
