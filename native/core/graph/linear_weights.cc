#include "native/core/graph/linear_weights.h"

#include <ATen/Functions.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "native/core/graph/ir.h"
#include "native/core/graph/offload.h"
#include "native/core/operators/names.h"

namespace dg {
namespace {

bool isMatchDtype(const Node* node) {
  static const auto kind = c10::Symbol::fromQualString(kMatchDtype);
  return node->kind() == kind;
}

void collect(Block* block, c10::Symbol kind, std::vector<Node*>& nodes) {
  for (Node* node : block->nodes()) {
    if (node->kind() == kind) nodes.push_back(node);
    for (Block* inner : node->blocks()) collect(inner, kind, nodes);
  }
}

}  // namespace

bool isTap(const Node* node) {
  static const auto kind = c10::Symbol::fromQualString(kTap);
  return node->kind() == kind;
}

Value* beforeTaps(Value* value) {
  while (isTap(value->node())) value = value->node()->input(0);
  return value;
}

std::vector<Node*> nodesOfKind(Graph& graph, c10::Symbol kind) {
  std::vector<Node*> nodes;
  collect(graph.block(), kind, nodes);
  return nodes;
}

std::vector<Value*> weightsOf(Graph& graph, c10::Symbol kind) {
  std::vector<Value*> weights;
  for (Node* layer : nodesOfKind(graph, kind)) {
    Value* weight = layer->input(1);
    if (std::find(weights.begin(), weights.end(), weight) == weights.end()) weights.push_back(weight);
  }
  return weights;
}

bool isWeightOfLinearsAlone(const Value* weight) {
  const auto constant = torch::jit::toIValue(weight);
  if (!constant || !constant->isTensor()) return false;
  const auto& tensor = constant->toTensor();
  const bool isDense = tensor.layout() == at::kStrided && tensor.dim() == 2 && tensor.numel() > 0;
  const auto& uses = weight->uses();
  return isDense && std::all_of(uses.begin(), uses.end(), [](const torch::jit::Use& use) {
           return use.offset == 1 && (use.user->kind() == c10::aten::linear || isMatchDtype(use.user));
         });
}

std::vector<Node*> detachLayers(Graph& graph, Value* weight) {
  std::vector<Node*> layers, matches;
  for (const auto& use : weight->uses()) (isMatchDtype(use.user) ? matches : layers).push_back(use.user);
  for (Node* match : matches) {
    torch::jit::WithInsertPoint guard(match);
    const auto dtype = torch::jit::toIValue(weight)->toTensor().scalar_type();
    match->replaceInput(1, graph.insertConstant(at::empty({0}, dtype)));
  }
  return layers;
}

Value* exchange(Graph& graph, Value* constant, const c10::IValue& value) {
  torch::jit::WithInsertPoint guard(constant->node());
  Value* placed = graph.insertConstant(value);
  keepOffloadMark(constant->node(), placed->node());
  constant->replaceAllUsesWith(placed);
  constant->node()->destroy();
  return placed;
}

}  // namespace dg
