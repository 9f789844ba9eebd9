#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <string>
#include <vector>

#include "native/core/graph/site.h"

namespace dg {

// Numbers the blocks in order of evaluation, names the streams of their outputs, and gives how many there are.
// `calledPaths`: the submodules that the model calls, in order. Throws NOT_A_TRANSFORMER when none is a block.
int64_t nameBlocks(std::vector<Site>& sites, const std::vector<std::string>& calledPaths,
                   const std::vector<BlockPattern>& patterns);

// Numbers the sites in order of evaluation; those whose value the model never uses are gone.
void renumberSites(torch::jit::Graph& graph, std::vector<Site>& sites);

// For every output the site whose value takes its place when the module is skipped: the input that its residual
// connections lead back to, else the one that carries the same stream (the output of that stream of the block before),
// else the first; for an attention its values.
void findBypasses(const torch::jit::Graph& graph, std::vector<Site>& sites);

}  // namespace dg
