#pragma once

#include <torch/csrc/jit/ir/ir.h>

namespace dg {

// Moves constants to the device: a trace bakes in the one it was made on, as constants (aten::arange(…, device=cpu))
// and in constant tensors. Those it computes sizes with stay where they are: a size that came from the device would
// have to be waited for.
void placeConstants(torch::jit::Graph& graph, at::Device device);

}  // namespace dg
