#include "native/core/graph/place_constants.h"

#include <torch/csrc/jit/ir/constants.h>

#include <unordered_set>
#include <vector>

#include "native/core/graph/ir.h"
#include "native/core/graph/pattern.h"

namespace dg {
namespace {

namespace prim = c10::prim;

// What a trace computes of sizes, with tensors of one number on the CPU: their nodes.
void findArithmetic(const Block* block, std::unordered_set<const Node*>& nodes) {
  for (const Node* node : block->nodes()) {
    bool ofSizes = node->kind() == prim::NumToTensor, ofNumbers = true;
    for (const Value* input : node->inputs()) {
      if (!isTensor(input)) continue;
      const bool isComputed = nodes.count(input->node()) != 0;
      ofSizes = ofSizes || isComputed;
      ofNumbers = ofNumbers && (isComputed || isNumberTensor(input));
    }
    if (ofSizes && ofNumbers && node->blocks().empty()) nodes.insert(node);
    for (const Block* inner : node->blocks()) findArithmetic(inner, nodes);
  }
}

void placeIn(Graph& graph, Block* block, at::Device device, const std::unordered_set<const Node*>& arithmetic,
             const HostStorages& waiting) {
  std::vector<Node*> constants;
  for (Node* node : block->nodes()) {
    for (Block* inner : node->blocks()) placeIn(graph, inner, device, arithmetic, waiting);
    if (node->kind() == prim::Constant) constants.push_back(node);
  }
  for (Node* node : constants) {
    const auto value = torch::jit::toIValue(node->output());
    if (!value || (!value->isDevice() && !(value->isTensor() && value->toTensor().device() != device))) continue;
    if (value->isTensor() && isIn(waiting, value->toTensor())) continue;
    WithInsertPoint guard(node);
    Value* placed =
        value->isDevice() ? graph.insertConstant(device) : graph.insertConstant(value->toTensor().to(device));
    const auto uses = node->output()->uses();
    for (const auto& use : uses) {
      if (!isNumberTensor(node->output()) || !arithmetic.count(use.user)) use.user->replaceInput(use.offset, placed);
    }
    if (!node->hasUses()) node->destroy();  // and what it holds
  }
}

}  // namespace

void placeConstants(Graph& graph, at::Device device, const HostStorages& waiting) {
  std::unordered_set<const Node*> arithmetic;
  findArithmetic(graph.block(), arithmetic);
  placeIn(graph, graph.block(), device, arithmetic, waiting);
}

}  // namespace dg
