#include "native/core/graph/program.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/common_subexpression_elimination.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <unordered_map>

#include "native/core/cancellation.h"
#include "native/core/device/memory.h"
#include "native/core/device/recycle.h"
#include "native/core/error.h"
#include "native/core/graph/failure.h"
#include "native/core/graph/interruption.h"
#include "native/core/graph/offload.h"
#include "native/core/operators/names.h"

namespace dg {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;

bool contains(const std::vector<int64_t>& sites, int64_t site) {
  return std::find(sites.begin(), sites.end(), site) != sites.end();
}

void collectTaps(Block* block, std::vector<Node*>& taps) {
  for (Node* node : block->nodes()) {
    if (tapSite(node) >= 0) taps.push_back(node);
    for (Block* inner : node->blocks()) collectTaps(inner, taps);
  }
}

// Puts an attention tap in the place of the tap behind an attention; gives the tap that is there now.
Node* attend(Graph& graph, Node* tap) {
  const Node* attention = tap->input(0)->node();
  static const auto kind = c10::Symbol::fromQualString("aten::scaled_dot_product_attention");
  if (attention->kind() != kind) return tap;
  torch::jit::WithInsertPoint guard(tap);
  torch::jit::Value* scale = attention->inputs().size() > 6 ? attention->input(6) : graph.insertConstant(c10::IValue());
  Node* inserted = graph.create(c10::Symbol::fromQualString(kAttentionTap),
                                {tap->input(0), tap->input(1), tap->input(2), attention->input(0), attention->input(1),
                                 attention->input(3), attention->input(5), scale});
  graph.insertNode(inserted);
  inserted->output()->setType(c10::TensorType::get());
  tap->output()->replaceAllUsesWith(inserted->output());
  tap->destroy();
  return inserted;
}

// The interpreter wraps what an operator throws into a report with the TorchScript stack; its last line is the reason.
std::string reason(const std::exception& error) {
  const auto* plain = dynamic_cast<const c10::Error*>(&error);
  std::string text = plain != nullptr ? plain->what_without_backtrace() : error.what();
  const auto marker = text.rfind("Error: ");
  if (text.find("The following operation failed") != std::string::npos && marker != std::string::npos) {
    text = text.substr(marker + 7);
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(0, 600);
}

// With what has to stand where it is put.
std::shared_ptr<Graph> finished(Graph& graph) {
  auto copy = graph.copy();
  bringOffloaded(*copy);
  insertInterruptionPoints(*copy);
  return copy;
}

}  // namespace

Program::Program(const std::shared_ptr<Graph>& graph) : code_(finished(*graph), "detail_guidance") {}

Values Program::run(Values inputs) const {
  requireNotCancelled();
  takeFailure();  // of a run that somebody else has dealt with
  RecyclingScope::beginProgram();
  try {
    torch::jit::InterpreterState(code_).run(inputs);
    return inputs;
  } catch (const std::exception& error) {
    if (const auto failure = takeFailure()) std::rethrow_exception(failure);
    if (isOutOfMemory(error)) {
      throw Error("OUT_OF_MEMORY", "The model did not fit into memory: " + reason(error) +
                                       ". Use a smaller size or batch, or a 16 bit dtype.");
    }
    throw Error("MODEL_FAILED", "The model failed while it ran: " + reason(error));
  }
}

int64_t tapSite(const Node* node) {
  static const auto plain = c10::Symbol::fromQualString(kTap);
  static const auto attention = c10::Symbol::fromQualString(kAttentionTap);
  const bool isTap = node->kind() == plain || node->kind() == attention;
  return isTap ? torch::jit::toIValue(node->input(1))->toInt() : -1;
}

std::vector<int64_t> tapSites(const std::shared_ptr<Graph>& graph) {
  std::vector<Node*> taps;
  collectTaps(graph->block(), taps);
  std::vector<int64_t> sites;
  for (const Node* tap : taps) sites.push_back(tapSite(tap));
  return sites;
}

std::shared_ptr<Graph> selectTaps(const FlatModel& model, const TapSelection& selection, const Fusions& fusions) {
  auto graph = model.graph->copy();
  std::vector<Node*> taps;
  collectTaps(graph->block(), taps);
  std::unordered_map<int64_t, Node*> bySite;
  for (Node* tap : taps) bySite.emplace(tapSite(tap), tap);
  for (const auto site : selection.bypassed) {
    const auto bypass = model.sites[site].bypass;
    if (!bypass || !bySite.count(site) || !bySite.count(*bypass)) continue;
    bySite[site]->replaceInput(2, bySite[*bypass]->input(0));
  }
  for (const auto site : selection.attended) {
    if (bySite.count(site)) bySite[site] = attend(*graph, bySite[site]);
  }
  for (const auto& [site, tap] : bySite) {
    if (contains(selection.sites, site)) continue;
    tap->output()->replaceAllUsesWith(tap->input(0));
    tap->destroy();
  }
  torch::jit::EliminateCommonSubexpression(graph);
  torch::jit::EliminateDeadCode(graph);
  fuse(graph, fusions);
  return graph;
}

}  // namespace dg
