#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "native/core/hooks/prepared_edit.h"
#include "native/core/model/graphed_computation.h"

namespace dg {

// What tells the device graphs of two sampling runs apart. A run with the same replays what the other has captured,
// whatever its numbers are.
struct GraphStructure {
  std::vector<int64_t> numbers;  // of the plan: branches, rows, what is recorded, …
  std::vector<Edit> edits;       // compared by haveSameStructure
};

// What outlives a sampling run where the device has graphs: those of its evaluations, and the edits whose tensors they
// read. The next run of the same structure puts its own numbers into those tensors and replays.
class EvaluationGraphs {
 public:
  EvaluationGraphs(const GraphStructure& structure, at::Device device, GraphCapturer* capturer);

  bool fits(const GraphStructure& structure) const;
  void refill(const std::vector<Edit>& edits);
  void prepare(int64_t step);

  const std::deque<PreparedEdit>& edits() const { return edits_; }

  // Of these branches (per branch of the plan: 1 = wanted), in a step that is recorded or not.
  using Kind = std::pair<std::vector<uint8_t>, bool>;

  GraphedComputation& evaluationOf(const std::vector<uint8_t>& branchMask, bool isRecorded);
  const std::map<Kind, GraphedComputation>& evaluations() const { return evaluations_; }

 private:
  std::vector<int64_t> numbers_;
  GraphCapturer* capturer_;
  std::deque<PreparedEdit> edits_;  // stay where they are: hook sets point at them
  std::map<Kind, GraphedComputation> evaluations_;
};

// Those of a model, the latest few: each holds device memory.
class EvaluationGraphCache {
 public:
  // `capturer` may be null: then nothing is kept. Gives what fits, refilled, or a new one.
  std::shared_ptr<EvaluationGraphs> find(const GraphStructure& structure, at::Device device, GraphCapturer* capturer);
  void clear() { kept_.clear(); }

 private:
  std::deque<std::shared_ptr<EvaluationGraphs>> kept_;  // latest first
};

}  // namespace dg
