#include "native/core/graph/fuse_layer.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <string>
#include <vector>

#include "native/core/graph/ir.h"
#include "native/core/graph/linear_weights.h"
#include "native/core/graph/pattern.h"
#include "native/core/operators/names.h"

namespace dg {
namespace {

c10::Symbol kindOf(const char* name) { return c10::Symbol::fromQualString(std::string(kNamespace) + "::" + name); }

constexpr const char *kPacked = "packed_linear", *kQuantised = "quantised_linear";

// The output of a node of a kind that nobody else reads, in the same block.
bool isOwn(Value* value, const char* kind, const Node* reader) {
  const Node* node = value->node();
  return node->kind() == kindOf(kind) && value->uses().size() == 1 && node->owningBlock() == reader->owningBlock();
}

void fuseResiduals(Graph& graph) {
  for (Node* residual : nodesOfKind(graph, kindOf("gated_residual"))) {
    for (const size_t side : {1, 2}) {
      Value* product = residual->input(side);
      const Node* layer = product->node();
      const bool isPacked = isOwn(product, kPacked, residual);
      if ((!isPacked && !isOwn(product, kQuantised, residual)) || !hasNoActivation(layer)) continue;
      substitute(residual, isPacked ? "packed_residual" : "quantised_residual",
                 {layer->input(0), layer->input(1), layer->input(2), residual->input(0), residual->input(3 - side)});
      break;
    }
  }
}

void fuseNorms(Graph& graph, const char* kind, const char* fused) {
  for (Node* layer : nodesOfKind(graph, kindOf(kind))) {
    if (!isOwn(layer->input(0), "modulated_layer_norm", layer)) continue;
    const auto norm = layer->input(0)->node()->inputs();
    std::vector<Value*> inputs(norm.begin(), norm.end());
    inputs.insert(inputs.end(), {layer->input(1), layer->input(2), layer->input(3)});
    substitute(layer, fused, inputs);
  }
}

}  // namespace

void fuseLayers(const std::shared_ptr<Graph>& graph) {
  if (mutates(graph->block())) return;
  fuseResiduals(*graph);
  fuseNorms(*graph, kPacked, "packed_modulated");
  fuseNorms(*graph, kQuantised, "quantised_modulated");
  torch::jit::EliminateDeadCode(graph);
}

}  // namespace dg
