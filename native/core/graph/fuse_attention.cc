#include "native/core/graph/fuse_attention.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include "native/core/graph/linear_weights.h"
#include "native/core/graph/pattern.h"

namespace dg {
namespace {

using torch::jit::Node;

// (query, key, value, mask, dropout, causal, *, scale, grouped queries)
bool isPlain(const Node* node) {
  const auto no = [&](size_t input) {
    if (node->inputs().size() <= input) return true;
    const auto value = torch::jit::toIValue(node->input(input));
    return value && value->isBool() && !value->toBool();
  };
  const auto dropout = constantDouble(node->input(4));
  return node->input(3)->mustBeNone() && dropout == 0.0 && no(5) && no(7);
}

}  // namespace

void fuseAttention(const std::shared_ptr<torch::jit::Graph>& graph) {
  static const auto kind = c10::Symbol::fromQualString("aten::scaled_dot_product_attention");
  if (mutates(graph->block())) return;
  for (Node* node : nodesOfKind(*graph, kind)) {
    if (!isPlain(node)) continue;
    torch::jit::WithInsertPoint guard(node);
    auto* scale = node->inputs().size() > 6 ? node->input(6) : graph->insertConstant(c10::IValue());
    substitute(node, "attention", {node->input(0), node->input(1), node->input(2), scale});
  }
  torch::jit::EliminateDeadCode(graph);
}

}  // namespace dg
