#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace dg {

// Has packed and quantised layers normalise their input and add their product to the hidden state themselves, in a
// graph whose modulated norms and gated residuals have been found (fuse_modulation.h). To the last bit what these give
// one after the other, so that a tap between them, which keeps them apart, changes nothing.
void fuseLayers(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace dg
