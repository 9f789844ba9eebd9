#include "native/core/graph/pack.h"

#include <ATen/Functions.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <string>
#include <vector>

#include "native/core/graph/pattern.h"
#include "native/core/operators/names.h"
#include "native/core/operators/packed_linear.h"

namespace dg {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

c10::Symbol packedKind() {
  static const auto kind = c10::Symbol::fromQualString(std::string(kNamespace) + "::packed_linear");
  return kind;
}

bool isTap(const Node* node) {
  static const auto kind = c10::Symbol::fromQualString(kTap);
  return node->kind() == kind;
}

// Where a weight says which dtype its layer wants (precision.h).
bool isMatchDtype(const Node* node) {
  static const auto kind = c10::Symbol::fromQualString(kMatchDtype);
  return node->kind() == kind;
}

bool canBePacked(const Value* weight) {
  const auto constant = torch::jit::toIValue(weight);
  if (!constant || !constant->isTensor()) return false;
  const auto& tensor = constant->toTensor();
  const bool isKnown = tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16;
  const bool isDense = tensor.is_cpu() && tensor.layout() == at::kStrided && tensor.dim() == 2 && tensor.numel() > 0;
  // Another reader would keep the plain weight beside the packed one.
  const auto& uses = weight->uses();
  return isKnown && isDense && std::all_of(uses.begin(), uses.end(), [](const torch::jit::Use& use) {
           return use.offset == 1 && (use.user->kind() == c10::aten::linear || isMatchDtype(use.user));
         });
}

void collect(Block* block, c10::Symbol kind, std::vector<Node*>& found) {
  for (Node* node : block->nodes()) {
    if (node->kind() == kind) found.push_back(node);
    for (Block* inner : node->blocks()) collect(inner, kind, found);
  }
}

// The weights of linear layers, each once.
std::vector<Value*> weightsOf(Graph& graph, c10::Symbol kind) {
  std::vector<Node*> layers;
  collect(graph.block(), kind, layers);
  std::vector<Value*> weights;
  for (Node* layer : layers) {
    Value* weight = layer->input(1);
    if (std::find(weights.begin(), weights.end(), weight) == weights.end()) weights.push_back(weight);
  }
  return weights;
}

// Puts a constant in the place of another; what stood there is gone.
Value* exchange(Graph& graph, Value* constant, const c10::IValue& value) {
  torch::jit::WithInsertPoint guard(constant->node());
  Value* placed = graph.insertConstant(value);
  constant->replaceAllUsesWith(placed);
  constant->node()->destroy();
  return placed;
}

// The activation that is all that a node does, by packedLinear's name; empty: none.
std::string activationOf(const Node* node) {
  if (node->kind() == c10::aten::silu) return "swish";
  if (node->kind() != c10::aten::gelu) return "";
  const auto kind = torch::jit::toIValue(node->input(1));
  if (!kind || !kind->isString()) return "";
  return kind->toStringRef() == "tanh" ? "gelu_tanh" : "gelu";
}

Value* beforeTaps(Value* value) {
  while (isTap(value->node())) value = value->node()->input(0);
  return value;
}

void fuseIn(Block* block) {
  for (Node* node : block->nodes()) {
    for (Block* inner : node->blocks()) fuseIn(inner);
    const auto activation = activationOf(node);
    if (activation.empty()) continue;
    Value* tapped = node->input(0);
    Value* product = beforeTaps(tapped);
    Node* layer = product->node();
    if (layer->kind() != packedKind() || layer->owningBlock() != block) continue;
    torch::jit::WithInsertPoint guard(node);
    Value* name = node->owningGraph()->insertConstant(activation);
    if (tapped != product) {
      substitute(node, "packed_activation", {layer->input(0), layer->input(1), layer->input(2), product, tapped, name});
    } else if (product->uses().size() == 1) {
      substitute(node, "packed_linear", {layer->input(0), layer->input(1), layer->input(2), name});
    }
  }
}

}  // namespace

int64_t countPackable(Graph& graph) {
  int64_t layers = 0;
  for (const Value* weight : weightsOf(graph, c10::aten::linear)) {
    const auto& uses = weight->uses();
    const auto isLayer = [](const torch::jit::Use& use) { return use.user->kind() == c10::aten::linear; };
    if (canBePacked(weight)) layers += std::count_if(uses.begin(), uses.end(), isLayer);
  }
  return layers;
}

void packLinears(Graph& graph) {
  for (Value* weight : weightsOf(graph, c10::aten::linear)) {
    if (!canBePacked(weight)) continue;
    std::vector<Node*> layers, matches;
    for (const auto& use : weight->uses()) (isMatchDtype(use.user) ? matches : layers).push_back(use.user);
    for (Node* match : matches) {
      torch::jit::WithInsertPoint guard(match);
      const auto dtype = torch::jit::toIValue(weight)->toTensor().scalar_type();
      match->replaceInput(1, graph.insertConstant(at::empty({0}, dtype)));
    }
    auto packed = c10::make_intrusive<PackedWeight>(torch::jit::toIValue(weight)->toTensor());
    exchange(graph, weight, c10::IValue(std::move(packed)));
    for (Node* layer : layers) {
      torch::jit::WithInsertPoint guard(layer);
      Value* none = graph.insertConstant("none");
      substitute(layer, "packed_linear", {layer->input(0), layer->input(1), layer->input(2), none});
      layer->destroy();
    }
  }
}

void unpackLinears(Graph& graph) {
  for (Value* weight : weightsOf(graph, packedKind())) {
    std::vector<Node*> layers;
    for (const auto& use : weight->uses()) layers.push_back(use.user);
    const auto packed = torch::jit::toIValue(weight)->toCustomClass<PackedWeight>();
    exchange(graph, weight, packed->plain());
    for (Node* layer : layers) {
      torch::jit::WithInsertPoint guard(layer);
      Node* plain = graph.create(c10::aten::linear, {layer->input(0), layer->input(1), layer->input(2)});
      graph.insertNode(plain);
      plain->output()->setType(c10::TensorType::get());
      layer->output()->replaceAllUsesWith(plain->output());
      layer->destroy();
    }
  }
}

void fusePackedActivations(const std::shared_ptr<Graph>& graph) {
  if (mutates(graph->block())) return;
  fuseIn(graph->block());
  torch::jit::EliminateDeadCode(graph);
}

}  // namespace dg
