#include "native/core/graph/fuse_modulation.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include "native/core/graph/ir.h"
#include "native/core/graph/linear_weights.h"
#include "native/core/graph/pattern.h"

namespace dg {
namespace {

// The product of two tensors that only this user reads.
Node* ownProduct(Value* value) {
  Node* node = value->node();
  return isProductOfTensors(node) && value->uses().size() == 1 ? node : nullptr;
}

Node* ownLayerNorm(Value* value) {
  Node* node = value->node();
  return node->kind() == c10::aten::layer_norm && value->uses().size() == 1 ? node : nullptr;
}

void fuseBlock(Block* block, bool modulations, bool residuals) {
  for (Node* sum : block->nodes()) {
    for (Block* inner : sum->blocks()) fuseBlock(inner, modulations, residuals);
    if (!isAddOfTensors(sum)) continue;
    for (const size_t side : {0, 1}) {
      Node* product = ownProduct(sum->input(side));
      if (product == nullptr || product->owningBlock() != block) continue;
      Value* other = sum->input(1 - side);
      Node* norm = ownLayerNorm(product->input(0));
      Value* scale = product->input(1);
      if (norm == nullptr) {
        norm = ownLayerNorm(product->input(1));
        scale = product->input(0);
      }
      if (norm != nullptr && norm->owningBlock() == block) {
        if (!modulations) break;
        substitute(sum, "modulated_layer_norm",
                   {norm->input(0), norm->input(1), norm->input(2), norm->input(3), norm->input(4), scale, other});
      } else if (residuals && !isNumberTensor(other) && !isNumberTensor(product->input(0)) &&
                 !isNumberTensor(product->input(1))) {
        substitute(sum, "gated_residual", {other, product->input(0), product->input(1)});
      }
      break;
    }
  }
}

// Norms that are left alone, as one whose output a tap sees: by the same arithmetic as those in a chain.
void replaceNorms(Graph& graph) {
  for (Node* norm : nodesOfKind(graph, c10::aten::layer_norm)) {
    substitute(norm, "layer_norm", {norm->input(0), norm->input(1), norm->input(2), norm->input(3), norm->input(4)});
  }
}

}  // namespace

void fuseModulation(const std::shared_ptr<Graph>& graph, bool modulations, bool residuals) {
  if (mutates(graph->block())) return;
  fuseBlock(graph->block(), modulations, residuals);
  if (modulations) replaceNorms(*graph);
  torch::jit::EliminateDeadCode(graph);
}

}  // namespace dg
