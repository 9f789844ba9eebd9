#include "native/core/graph/convolutions.h"

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/ir/constants.h>

#include <unordered_set>
#include <vector>

#include "native/core/graph/ir.h"
#include "native/core/graph/linear_weights.h"
#include "native/core/graph/pattern.h"

namespace dg {
namespace {

bool isPictureWeight(const at::Tensor& weight) {
  return weight.is_cpu() && weight.dim() == 4 && weight.layout() == at::kStrided && weight.is_floating_point();
}

// Its weights, each once.
std::unordered_set<Value*> convolutionWeights(Graph& graph) {
  std::unordered_set<Value*> weights;
  for (const auto kind : {c10::aten::conv2d, c10::aten::_convolution, c10::aten::convolution}) {
    for (Value* weight : weightsOf(graph, kind)) weights.insert(weight);
  }
  return weights;
}

}  // namespace

void orderConvolutions(Graph& graph) {
  // A reshape may copy: what is written into it would not reach what it was made of.
  if (mutates(graph.block())) return;
  bool hasOrdered = false;
  for (Value* weight : convolutionWeights(graph)) {
    const auto constant = torch::jit::toIValue(weight);
    if (!constant || !constant->isTensor() || !isPictureWeight(constant->toTensor())) continue;
    exchange(graph, weight, constant->toTensor().contiguous(at::MemoryFormat::ChannelsLast));
    hasOrdered = true;
  }
  if (!hasOrdered) return;
  for (Node* view : nodesOfKind(graph, c10::aten::view)) {
    // The other form of view changes the dtype.
    if (view->inputs().size() != 2 || view->input(1)->type()->kind() != c10::TypeKind::ListType) continue;
    WithInsertPoint guard(view);
    Value* reshaped = graph.insert(c10::aten::reshape, {view->input(0), view->input(1)});
    reshaped->setType(view->output()->type());
    view->output()->replaceAllUsesWith(reshaped);
    view->destroy();
  }
}

}  // namespace dg
