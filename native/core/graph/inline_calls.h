#pragma once

#include <torch/script.h>

#include <memory>
#include <string>
#include <vector>

#include "native/core/graph/site.h"

namespace dg {

// Inlines the calls of `graph`, the forward of `module`, one by one: blocks of one class share one method graph, and
// here the path of the submodule is known. Every tensor that enters or leaves a submodule, and what an attention reads
// and gives, passes a tap from then on; its sites are added to `sites`. Attributes become constants and the module
// itself is no input any more. Gives the paths of the submodules that are called, in order of evaluation. Throws
// MODEL_UNREADABLE.
std::vector<std::string> inlineCalls(const torch::jit::Module& module, const std::shared_ptr<torch::jit::Graph>& graph,
                                     std::vector<Site>& sites);

}  // namespace dg
