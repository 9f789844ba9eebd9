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
      {"aten::conv_transpose1d", {{0, 1}}},
      {"aten::conv_transpose2d", {{0, 1}}},
      {"aten::conv_transpose3d", {{0, 1}}},
      {"aten::_convolution", {{0, 1}}},
      {"aten::convolution", {{0, 1}}},
      {"aten::bilinear", {{0, 2}, {1, 2}}},
      {"aten::addmm", {{1, 2}}},
      {"aten::matmul", {{0, 1}}},
      {"aten::mm", {{0, 1}}},
      {"aten::bmm", {{0, 1}}},
      {"aten::mv", {{0, 1}}},
      {"aten::dot", {{0, 1}}},
      {"aten::inner", {{0, 1}}},
      {"aten::tensordot", {{0, 1}}},
      {"aten::addbmm", {{1, 2}, {0, 2}}},
      {"aten::baddbmm", {{1, 2}, {0, 2}}},
      {"aten::layer_norm", {{0, 2}}},
      {"aten::group_norm", {{0, 2}}},
      {"aten::scaled_dot_product_attention", {{0, 2}, {1, 2}, {3, 2}}},
  };
  return table;
}

void match(Graph& graph, Node* node, size_t argument, size_t like) {
  if (node->inputs().size() <= std::max(argument, like)) return;
  if (!isTensor(node->input(argument)) || !isTensor(node->input(like))) return;
  torch::jit::WithInsertPoint guard(node);
  Node* match = graph.create(c10::Symbol::fromQualString(kMatchDtype), {node->input(argument), node->input(like)});
  graph.insertNode(match);
  match->output()->setType(c10::TensorType::get());
  node->replaceInput(argument, match->output());
}

// The factors of an einsum to the last one.
void matchFactors(Graph& graph, Node* list) {
  if (list->kind() != c10::prim::ListConstruct) return;
  for (size_t i = 0; i + 1 < list->inputs().size(); ++i) match(graph, list, i, list->inputs().size() - 1);
}

void matchBlock(Graph& graph, torch::jit::Block* block) {
  for (Node* node : block->nodes()) {
    for (auto* inner : node->blocks()) matchBlock(graph, inner);
    if (node->kind() == c10::aten::einsum) matchFactors(graph, node->input(1)->node());
    const auto entry = strictArguments().find(node->kind().toQualString());
    if (entry == strictArguments().end()) continue;
    for (const auto& [argument, like] : entry->second) match(graph, node, argument, like);
  }
}

}  // namespace

void matchPrecision(const std::shared_ptr<Graph>& graph) { matchBlock(*graph, graph->block()); }

}  // namespace dg
