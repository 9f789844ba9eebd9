#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace dg {

// The activation of a feed-forward layer:
//   GELU (tanh) after a linear layer: part of the matrix product's epilogue, no pass of its own (on CUDA)
//   SwiGLU's a · SiLU(b)    (Shazeer, arXiv 2002.05202): one pass
void fuseLinearGelu(const std::shared_ptr<torch::jit::Graph>& graph);
void fuseGatedSilu(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace dg
