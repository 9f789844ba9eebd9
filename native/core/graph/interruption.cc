#include "native/core/graph/interruption.h"

#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "native/core/cancellation.h"
#include "native/core/error.h"
#include "native/core/graph/failure.h"
#include "native/core/graph/pattern.h"
#include "native/core/operators/names.h"

namespace dg {
namespace {

using Clock = std::chrono::steady_clock;
using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;

thread_local std::optional<Clock::time_point> deadline;

void interruptionPoint(bool inLoop) {
  try {
    requireNotCancelled();
    if (inLoop && deadline && Clock::now() > *deadline) {
      throw Error("MODEL_FAILED",
                  "A loop in the model did not end in its first evaluation. Expected a model whose loops end; "
                  "loadPipeline's firstEvaluationLimit gives it more time.");
    }
  } catch (const Error&) {
    keepFailure(std::current_exception());
    throw;
  }
}

// Matrix products, convolutions and attention, ours and libtorch's: nothing else takes long.
bool takesLong(const Node* node) {
  static const std::unordered_set<std::string> kinds{"aten::linear",
                                                     "aten::addmm",
                                                     "aten::mm",
                                                     "aten::matmul",
                                                     "aten::bmm",
                                                     "aten::baddbmm",
                                                     "aten::conv1d",
                                                     "aten::conv2d",
                                                     "aten::conv3d",
                                                     "aten::convolution",
                                                     "aten::_convolution",
                                                     "aten::scaled_dot_product_attention",
                                                     "detail_guidance::attention"};
  return isOwnLayer(node) || kinds.count(node->kind().toQualString()) != 0;
}

void insertBefore(Graph& graph, Node* node, bool inLoop) {
  static const auto kind = c10::Symbol::fromQualString(kInterruptionPoint);
  torch::jit::WithInsertPoint guard(node);
  Node* point = graph.create(kind, {graph.insertConstant(inLoop)}, /*num_outputs=*/0);
  graph.insertNode(point);
}

void insertInto(Graph& graph, Block* block, bool isLoop) {
  const std::vector<Node*> nodes(block->nodes().begin(), block->nodes().end());
  for (Node* node : nodes) {
    for (Block* inner : node->blocks()) insertInto(graph, inner, node->kind() == c10::prim::Loop);
    if (takesLong(node)) insertBefore(graph, node, false);
  }
  if (isLoop) insertBefore(graph, *block->nodes().begin(), true);
}

}  // namespace

LoopDeadline::LoopDeadline(std::chrono::duration<double> limit)
    : previous_(std::exchange(deadline, Clock::now() + std::chrono::duration_cast<Clock::duration>(limit))) {}
LoopDeadline::~LoopDeadline() { deadline = previous_; }

void insertInterruptionPoints(Graph& graph) { insertInto(graph, graph.block(), false); }

void defineInterruption(torch::Library& library) {
  library.def(torch::schema("interruption_point(bool in_loop) -> ()", c10::AliasAnalysisKind::CONSERVATIVE),
              interruptionPoint);
}

}  // namespace dg
