#include "native/core/model/evaluation_graphs.h"

#include <algorithm>

namespace dg {
namespace {

constexpr size_t kKept = 4;

}  // namespace

RecordedPlan::RecordedPlan(const Plan& plan, const std::vector<Edit>& edits, int64_t images, at::Device device,
                           WorkRecorder* recorder)
    : branches_(plan.branches), share_(plan.partialForward), images_(images), recorder_(recorder) {
  const bool replayable = device.is_cuda() || recorder != nullptr;
  for (const auto& edit : edits) edits_.emplace_back(edit, device, replayable);
}

bool RecordedPlan::fits(const Plan& plan, const std::vector<Edit>& edits, int64_t images) const {
  if (images != images_ || plan.partialForward != share_) return false;
  const auto sameBranch = [](const Branch& a, const Branch& b) {
    return a.conditioning == b.conditioning && a.edits == b.edits;
  };
  const auto sameEdit = [](const PreparedEdit& a, const Edit& b) { return haveSameStructure(a.edit(), b); };
  return std::equal(branches_.begin(), branches_.end(), plan.branches.begin(), plan.branches.end(), sameBranch) &&
         std::equal(edits_.begin(), edits_.end(), edits.begin(), edits.end(), sameEdit);
}

void RecordedPlan::refill(const std::vector<Edit>& edits) {
  for (size_t i = 0; i < edits.size(); ++i) edits_[i].refill(edits[i]);
}

void RecordedPlan::prepare(int64_t step) {
  for (auto& edit : edits_) edit.prepare(step);
}

Replay& RecordedPlan::replayOf(const std::vector<uint8_t>& wanted) {
  return replays_.try_emplace(wanted, recorder_).first->second;
}

std::shared_ptr<RecordedPlan> RecordedPlans::find(const Plan& plan, const std::vector<Edit>& edits, int64_t images,
                                                  at::Device device, WorkRecorder* recorder) {
  if (recorder == nullptr) return std::make_shared<RecordedPlan>(plan, edits, images, device, recorder);
  const auto known =
      std::find_if(plans_.begin(), plans_.end(), [&](const auto& each) { return each->fits(plan, edits, images); });
  std::shared_ptr<RecordedPlan> found;
  if (known != plans_.end()) {
    found = *known;
    plans_.erase(known);
    found->refill(edits);
  } else {
    found = std::make_shared<RecordedPlan>(plan, edits, images, device, recorder);
  }
  plans_.push_front(found);
  if (plans_.size() > kKept) plans_.pop_back();
  return found;
}

}  // namespace dg
