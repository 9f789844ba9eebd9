#pragma once

namespace dg::cuda {

// Gives the core what this folder has: kernels and the recorder of CUDA graphs. Called before a model is loaded.
void install();

}  // namespace dg::cuda
