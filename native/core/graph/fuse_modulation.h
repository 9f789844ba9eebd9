#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace dg {

// Finds the memory-bound chains of a DiT block (operators/modulation.h):
//   adaLN modulation   LN(x) · scale + shift      (Peebles & Xie, arXiv 2212.09748)
//   gated residual     x + gate · y
void fuseModulation(const std::shared_ptr<torch::jit::Graph>& graph, bool modulations = true, bool residuals = true);

}  // namespace dg
