#include "native/core/operators/activation.h"

#include <ATen/Functions.h>

namespace dg {

at::Tensor linearGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  // On CUDA the epilogue of the matrix product adds the bias and applies GELU with tanh (cublasLt); the operator of
  // this name on the CPU applies the other GELU, with erf.
  const bool inEpilogue = x.is_cuda() && x.dim() >= 2 && weight.dim() == 2 && bias.dim() == 1 &&
                          x.scalar_type() == weight.scalar_type() && x.scalar_type() == bias.scalar_type();
  if (!inEpilogue) return at::gelu(at::linear(x, weight, bias), "tanh");
  auto sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  return at::_addmm_activation(bias, x.reshape({-1, x.size(-1)}), weight.t(), 1, 1, /*use_gelu=*/true).view(sizes);
}

at::Tensor gatedSilu(const at::Tensor& a, const at::Tensor& b) { return at::mul(a, at::silu(b)); }

}  // namespace dg
