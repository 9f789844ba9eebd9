#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include "native/core/graph/offload.h"

namespace dg {

// Moves constants to the device: a trace bakes in the one it was made on, as constants (aten::arange(…, device=cpu))
// and in constant tensors. Those it computes sizes with stay where they are: a size that came from the device would
// have to be waited for. So does what lies in `waiting`.
void placeConstants(torch::jit::Graph& graph, at::Device device, const HostStorages& waiting);

}  // namespace dg
