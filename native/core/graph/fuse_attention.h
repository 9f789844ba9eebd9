#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace dg {

// Attention without mask, dropout and causality becomes operators/attention.h.
void fuseAttention(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace dg
