#include "native/core/graph/fuse_activation.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include "native/core/graph/ir.h"
#include "native/core/graph/pattern.h"

namespace dg {
namespace {

// The node that makes a value which only this user reads.
Node* ownNode(Value* value, c10::Symbol kind) {
  Node* node = value->node();
  return node->kind() == kind && value->uses().size() == 1 ? node : nullptr;
}

void fuseGelu(Block* block) {
  for (Node* node : block->nodes()) {
    for (Block* inner : node->blocks()) fuseGelu(inner);
    if (node->kind() != c10::aten::gelu) continue;
    const auto kind = torch::jit::toIValue(node->input(1));
    if (!kind || !kind->isString() || kind->toStringRef() != "tanh") continue;
    Node* linear = ownNode(node->input(0), c10::aten::linear);
    if (linear == nullptr || linear->input(2)->mustBeNone()) continue;
    substitute(node, "linear_gelu", linear->inputs());
  }
}

void fuseSilu(Block* block) {
  for (Node* node : block->nodes()) {
    for (Block* inner : node->blocks()) fuseSilu(inner);
    if (!isProductOfTensors(node)) continue;
    for (const size_t side : {0, 1}) {
      Node* silu = ownNode(node->input(side), c10::aten::silu);
      if (silu == nullptr) continue;
      substitute(node, "gated_silu", {node->input(1 - side), silu->input(0)});
      break;
    }
  }
}

}  // namespace

void fuseLinearGelu(const std::shared_ptr<Graph>& graph) {
  if (mutates(graph->block())) return;
  fuseGelu(graph->block());
  torch::jit::EliminateDeadCode(graph);
}

void fuseGatedSilu(const std::shared_ptr<Graph>& graph) {
  if (mutates(graph->block())) return;
  fuseSilu(graph->block());
  torch::jit::EliminateDeadCode(graph);
}

}  // namespace dg
