#pragma once

#include <ATen/core/Tensor.h>

namespace dg {

// gelu(linear(x, weight, bias), approximate="tanh"); separate operators but on CUDA.
at::Tensor linearGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// a · silu(b); separate operators but on CUDA.
at::Tensor gatedSilu(const at::Tensor& a, const at::Tensor& b);

}  // namespace dg
