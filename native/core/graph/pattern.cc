#include "native/core/graph/pattern.h"

#include <torch/csrc/jit/ir/constants.h>

#include <string>
#include <unordered_set>

#include "native/core/operators/names.h"

namespace dg {

using torch::jit::Block;
using torch::jit::Node;
using torch::jit::Value;

bool mutates(const Block* block) {
  for (const Node* node : block->nodes()) {
    const auto* schema = node->maybeSchema();
    if (schema != nullptr && schema->is_mutable()) return true;
    for (const Block* inner : node->blocks()) {
      if (mutates(inner)) return true;
    }
  }
  return false;
}

bool isOwnLayer(const Node* node) {
  static const std::unordered_set<std::string> kinds{
      "detail_guidance::linear_gelu",       "detail_guidance::packed_linear",    "detail_guidance::packed_modulated",
      "detail_guidance::packed_residual",   "detail_guidance::quantised_linear", "detail_guidance::quantised_modulated",
      "detail_guidance::quantised_residual"};
  return kinds.count(node->kind().toQualString()) != 0;
}

bool hasNoActivation(const Node* layer) {
  const auto activation = torch::jit::toIValue(layer->input(3));
  return activation && activation->isString() && activation->toStringRef() == "none";
}

bool isTensor(const Value* value) { return value->type()->isSubtypeOf(*c10::TensorType::get()); }

bool isAddOfTensors(const Node* node) {
  if (node->kind() != c10::aten::add || node->inputs().size() != 3) return false;
  const auto alpha = torch::jit::toIValue(node->input(2));
  const bool one = alpha && ((alpha->isInt() && alpha->toInt() == 1) || (alpha->isDouble() && alpha->toDouble() == 1));
  return one && isTensor(node->input(0)) && isTensor(node->input(1));
}

bool isProductOfTensors(const Node* node) {
  return node->kind() == c10::aten::mul && node->inputs().size() == 2 && isTensor(node->input(0)) &&
         isTensor(node->input(1));
}

bool isNumberTensor(const Value* value) {
  const auto constant = torch::jit::toIValue(value);
  return constant && constant->isTensor() && constant->toTensor().dim() == 0;
}

Value* throughCasts(Value* value) {
  static const auto match = c10::Symbol::fromQualString(kMatchDtype);
  for (;;) {
    Node* node = value->node();
    if (node->kind() != c10::aten::to && node->kind() != match) return value;
    value = node->input(0);
  }
}

std::optional<int64_t> constantInt(const Value* value) {
  const auto constant = torch::jit::toIValue(value);
  if (!constant || !constant->isInt()) return std::nullopt;
  return constant->toInt();
}

std::optional<double> constantDouble(const Value* value) {
  const auto constant = torch::jit::toIValue(value);
  if (isNumberTensor(value) && !constant->toTensor().is_meta()) return constant->toTensor().item<double>();
  if (!constant || !constant->isDouble()) return std::nullopt;
  return constant->toDouble();
}

Node* substitute(Node* node, const char* name, at::ArrayRef<Value*> inputs) {
  auto* graph = node->owningGraph();
  torch::jit::WithInsertPoint guard(node);
  Node* fused = graph->create(c10::Symbol::fromQualString(std::string(kNamespace) + "::" + name), inputs);
  graph->insertNode(fused);
  fused->output()->setType(c10::TensorType::get());
  node->output()->replaceAllUsesWith(fused->output());
  return fused;
}

}  // namespace dg
