#pragma once

#include <torch/csrc/jit/ir/ir.h>

namespace dg {

// Puts the weights of two-dimensional convolutions on the CPU in the order channels-last. libtorch then keeps the
// pictures between the layers in that order too, which oneDNN's kernels read as it is; from the default order each
// layer makes its own. The results are the same within rounding. Packing the weights in advance gains nothing beside it
// (bench/kernels.py). aten::view, which can not take every picture in that order, becomes aten::reshape.
void orderConvolutions(torch::jit::Graph& graph);

}  // namespace dg
