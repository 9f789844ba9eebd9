#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dg {

// Gaussian blur of [rows, height · width tokens, channels] over the grid of the tokens, in float32; sigma in tokens,
// infinity is the mean, 0 changes nothing (smoothed energy guidance, arXiv 2408.00760).
at::Tensor blurredTokens(const at::Tensor& grid, int64_t height, int64_t width, double sigma);

}  // namespace dg
