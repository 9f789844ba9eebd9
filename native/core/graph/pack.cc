#include "native/core/graph/pack.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <string>
#include <vector>

#include "native/core/graph/ir.h"
#include "native/core/graph/linear_weights.h"
#include "native/core/graph/pattern.h"
#include "native/core/operators/names.h"
#include "native/core/operators/packed_linear.h"

namespace dg {
namespace {

c10::Symbol packedKind() {
  static const auto kind = c10::Symbol::fromQualString(std::string(kNamespace) + "::packed_linear");
  return kind;
}

bool canBePacked(const Value* weight) {
  if (!isWeightOfLinearsAlone(weight)) return false;
  const auto tensor = torch::jit::toIValue(weight)->toTensor();
  const auto dtype = tensor.scalar_type();
  return tensor.is_cpu() && (dtype == at::kFloat || dtype == at::kBFloat16);
}

// The activation that is all that a node does, by packedLinear's name; empty: none.
std::string activationOf(const Node* node) {
  if (node->kind() == c10::aten::silu) return "swish";
  if (node->kind() != c10::aten::gelu) return "";
  const auto kind = torch::jit::toIValue(node->input(1));
  if (!kind || !kind->isString()) return "";
  return kind->toStringRef() == "tanh" ? "gelu_tanh" : "gelu";
}

// Whether a product, and what taps made of it up to `tapped`, is read by nobody else: the same with taps and without.
bool hasOneReader(const Value* product, const Value* tapped) {
  for (const Value* each = tapped;; each = each->node()->input(0)) {
    if (each->uses().size() != 1) return false;
    if (each == product) return true;
  }
}

void fuseActivations(Block* block) {
  for (Node* node : block->nodes()) {
    for (Block* inner : node->blocks()) fuseActivations(inner);
    const auto activation = activationOf(node);
    if (activation.empty()) continue;
    Value* tapped = node->input(0);
    Value* product = beforeTaps(tapped);
    Node* layer = product->node();
    if (layer->kind() != packedKind() || layer->owningBlock() != block) continue;
    if (!hasNoActivation(layer) || !hasOneReader(product, tapped)) continue;
    torch::jit::WithInsertPoint guard(node);
    Value* name = node->owningGraph()->insertConstant(activation);
    if (tapped != product) {
      substitute(node, "packed_activation", {layer->input(0), layer->input(1), layer->input(2), product, tapped, name});
    } else {
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
    const auto layers = detachLayers(graph, weight);
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
  fuseActivations(graph->block());
  torch::jit::EliminateDeadCode(graph);
}

}  // namespace dg
