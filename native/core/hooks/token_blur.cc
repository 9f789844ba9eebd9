#include "native/core/hooks/token_blur.h"

#include <ATen/Functions.h>

#include <cmath>

namespace dg {
namespace {

// Row-normalised Gaussian weights between the positions of one axis: [n, n].
at::Tensor gaussianMatrix(int64_t n, double sigma, const at::TensorOptions& options) {
  if (std::isinf(sigma)) return at::full({n, n}, 1.0 / static_cast<double>(n), options);
  if (sigma <= 0) return at::eye(n, options);
  const auto position = at::arange(n, options);
  const auto distance = position.unsqueeze(0) - position.unsqueeze(1);
  return at::softmax(distance.square().mul(-0.5 / (sigma * sigma)), -1);
}

}  // namespace

at::Tensor blurredTokens(const at::Tensor& grid, int64_t height, int64_t width, double sigma) {
  const int64_t channels = grid.size(-1);
  const auto options = at::TensorOptions(at::kFloat).device(grid.device());
  auto blurred = grid.to(at::kFloat).reshape({-1, height, width * channels});
  blurred = at::matmul(gaussianMatrix(height, sigma, options), blurred).reshape({-1, width, channels});
  return at::matmul(gaussianMatrix(width, sigma, options), blurred).reshape_as(grid).to(grid.scalar_type());
}

}  // namespace dg
