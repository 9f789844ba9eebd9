#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace dg {

// A trace bakes in the dtypes it was made with (`x.to(y.dtype)` becomes a constant), so a model exported in float32
// and loaded in bfloat16 would hand float32 activations to bfloat16 weights. As autocast does, the inputs of the
// operators that insist on one dtype (linear, convolution, matrix products, attention) are matched to their weights.
void matchPrecision(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace dg
