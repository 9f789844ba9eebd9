#pragma once

namespace dg::cuda {

// Gives the core what this folder has: kernels and what captures CUDA graphs. Called before a model is loaded.
void install();

}  // namespace dg::cuda
