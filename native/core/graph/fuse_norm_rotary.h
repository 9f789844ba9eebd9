#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace dg {

// What is done to queries and keys before attention, as one pass each:
//   RMSNorm           x · rsqrt(mean(x²) + eps) · weight      (Zhang & Sennrich, arXiv 1910.07467)
//   rotary embedding  interleaved pairs (a, b) → (a cos − b sin, b cos + a sin)   (Su et al., arXiv 2104.09864)
// and, where the one directly follows the other, both in a single pass. Finds RMSNorm as aten::rms_norm or spelled out
// (power, mean, rsqrt, two products), the embedding as diffusers spells it out.
void fuseNormRotary(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace dg
