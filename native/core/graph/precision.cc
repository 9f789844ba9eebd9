#include "native/core/graph/precision.h"

#include <torch/csrc/jit/ir/constants.h>

#include <unordered_map>
#include <utility>
#include <vector>

#include "native/core/graph/pattern.h"
#include "native/core/operators/names.h"

namespace dg {
namespace {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

// Operator -> pairs (argument, the argument whose dtype it must have).
const std::unordered_map<std::string, std::vector<std::pair<size_t, size_t>>>& strictArguments() {
  static const std::unordered_map<std::string, std::vector<std::pair<size_t, size_t>>> table{
      {"aten::linear", {{0, 1}}},
      {"aten::conv1d", {{0, 1}}},
      {"aten::conv2d", {{0, 1}}},
      {"aten::conv3d", {{0, 1}}},
      {"aten::_convolution", {{0, 1}}},
      {"aten::convolution", {{0, 1}}},
      {"aten::addmm", {{1, 2}}},
      {"aten::matmul", {{0, 1}}},
      {"aten::mm", {{0, 1}}},
      {"aten::bmm", {{0, 1}}},
      {"aten::baddbmm", {{1, 2}, {0, 2}}},
      {"aten::layer_norm", {{0, 2}}},
      {"aten::group_norm", {{0, 2}}},
      {"aten::scaled_dot_product_attention", {{0, 2}, {1, 2}, {3, 2}}},
  };
  return table;
}

void matchBlock(Graph& graph, torch::jit::Block* block) {
  for (Node* node : block->nodes()) {
    for (auto* inner : node->blocks()) matchBlock(graph, inner);
    const auto entry = strictArguments().find(node->kind().toQualString());
    if (entry == strictArguments().end()) continue;
    for (const auto& [argument, like] : entry->second) {
      if (node->inputs().size() <= std::max(argument, like)) continue;
      if (!isTensor(node->input(argument)) || !isTensor(node->input(like))) continue;
      torch::jit::WithInsertPoint guard(node);
      Node* match = graph.create(c10::Symbol::fromQualString(kMatchDtype), {node->input(argument), node->input(like)});
      graph.insertNode(match);
      match->output()->setType(c10::TensorType::get());
      node->replaceInput(argument, match->output());
    }
  }
}

}  // namespace

void matchPrecision(const std::shared_ptr<Graph>& graph) { matchBlock(*graph, graph->block()); }

}  // namespace dg
