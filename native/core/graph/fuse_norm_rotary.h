#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <optional>

namespace dg {

// What is done to queries and keys before attention, as one pass each:
//   RMSNorm           x · rsqrt(mean(x²) + eps) · weight      (Zhang & Sennrich, arXiv 1910.07467)
//   rotary embedding  interleaved pairs (a, b) → (a cos − b sin, b cos + a sin)   (Su et al., arXiv 2104.09864)
// and, where the one directly follows the other, both in a single pass. Finds RMSNorm as aten::rms_norm or spelled out
// (power, mean, rsqrt, two products), the embedding as diffusers spells it out.
void fuseNormRotary(const std::shared_ptr<torch::jit::Graph>& graph);

// RMSNorm over the last axis, when `eps` is given, then the embedding, when `cosine` and `sine` are: float32,
// broadcast to x. This function computes with separate operators; a device may have a kernel for it (native/cuda).
at::Tensor normRotary(const at::Tensor& x, const std::optional<at::Tensor>& weight, std::optional<double> eps,
                      const std::optional<at::Tensor>& cosine, const std::optional<at::Tensor>& sine);

}  // namespace dg
