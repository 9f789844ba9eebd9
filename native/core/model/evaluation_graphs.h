#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "native/core/hooks/edit.h"
#include "native/core/sampling/plan.h"
#include "native/core/model/graphed_computation.h"

namespace dg {

// What of a plan outlives its sampling run where the device can record: recordings, and the edits whose tensors they
// read. The next run with a plan of the same structure puts its own numbers into those tensors and replays.
class RecordedPlan {
 public:
  // `edits`: those of the plan, for the images of a group.
  RecordedPlan(const Plan& plan, const std::vector<Edit>& edits, int64_t images, at::Device device,
               WorkRecorder* recorder);

  bool fits(const Plan& plan, const std::vector<Edit>& edits, int64_t images) const;
  void refill(const std::vector<Edit>& edits);
  void prepare(int64_t step);

  const std::deque<PreparedEdit>& edits() const { return edits_; }

  // The evaluation of these branches (per branch of the plan: 1 = wanted).
  Replay& replayOf(const std::vector<uint8_t>& wanted);
  const std::map<std::vector<uint8_t>, Replay>& replays() const { return replays_; }

 private:
  std::vector<Branch> branches_;
  bool share_;
  int64_t images_;
  WorkRecorder* recorder_;
  std::deque<PreparedEdit> edits_;  // stay where they are: hook sets point at them
  std::map<std::vector<uint8_t>, Replay> replays_;
};

// The recorded plans of a model, the latest few: each holds device memory.
class RecordedPlans {
 public:
  // One that fits, refilled, or a new one.
  std::shared_ptr<RecordedPlan> find(const Plan& plan, const std::vector<Edit>& edits, int64_t images,
                                     at::Device device, WorkRecorder* recorder);
  void clear() { plans_.clear(); }

 private:
  std::deque<std::shared_ptr<RecordedPlan>> plans_;  // latest first
};

}  // namespace dg
