#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <optional>

namespace dg {

// The activation of a feed-forward layer:
//   GELU (tanh) after a linear layer: part of the matrix product's epilogue, no pass of its own (on CUDA)
//   SwiGLU's a · SiLU(b)    (Shazeer, arXiv 2002.05202): one pass
void fuseLinearGelu(const std::shared_ptr<torch::jit::Graph>& graph);
void fuseGatedSilu(const std::shared_ptr<torch::jit::Graph>& graph);

// gelu(linear(x, weight, bias), approximate="tanh"); separate operators but on CUDA.
at::Tensor linearGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// a · silu(b); separate operators but on CUDA.
at::Tensor gatedSilu(const at::Tensor& a, const at::Tensor& b);

}  // namespace dg
