#include "native/core/model/evaluation_graphs.h"

#include <algorithm>

namespace dg {
namespace {

// All of a model share one pool of memory: another structure costs its inputs, its results and the list of its kernels.
constexpr size_t kKept = 16;

}  // namespace

EvaluationGraphs::EvaluationGraphs(const GraphStructure& structure, at::Device device, GraphCapturer* capturer)
    : numbers_(structure.numbers), capturer_(capturer) {
  const bool replayable = device.is_cuda() || capturer != nullptr;
  for (const auto& edit : structure.edits) edits_.emplace_back(edit, device, replayable);
}

bool EvaluationGraphs::fits(const GraphStructure& structure) const {
  const auto sameEdit = [](const PreparedEdit& a, const Edit& b) { return haveSameStructure(a.edit(), b); };
  return numbers_ == structure.numbers &&
         std::equal(edits_.begin(), edits_.end(), structure.edits.begin(), structure.edits.end(), sameEdit);
}

void EvaluationGraphs::refill(const std::vector<Edit>& edits) {
  for (size_t i = 0; i < edits.size(); ++i) edits_[i].refill(edits[i]);
}

void EvaluationGraphs::prepare(int64_t step) {
  for (auto& edit : edits_) edit.prepare(step);
}

GraphedComputation& EvaluationGraphs::evaluationOf(const std::vector<uint8_t>& branchMask, bool isRecorded) {
  return evaluations_.try_emplace({branchMask, isRecorded}, capturer_).first->second;
}

std::shared_ptr<EvaluationGraphs> EvaluationGraphCache::find(const GraphStructure& structure, at::Device device,
                                                             GraphCapturer* capturer) {
  if (capturer == nullptr) return std::make_shared<EvaluationGraphs>(structure, device, capturer);
  const auto known =
      std::find_if(kept_.begin(), kept_.end(), [&](const auto& candidate) { return candidate->fits(structure); });
  std::shared_ptr<EvaluationGraphs> graphs;
  if (known != kept_.end()) {
    graphs = *known;
    kept_.erase(known);
    graphs->refill(structure.edits);
  } else {
    graphs = std::make_shared<EvaluationGraphs>(structure, device, capturer);
  }
  kept_.push_front(graphs);
  if (kept_.size() > kKept) kept_.pop_back();
  return graphs;
}

}  // namespace dg
