#include "native/core/model/graphed_computation.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <mutex>
#include <utility>

namespace dg {
namespace {

// Libraries choose their algorithms and take their workspaces in the first runs, which a recording could not hold.
constexpr int64_t kRunsBefore = 2;

constexpr size_t kShapesKept = 8;

std::string signatureOf(const Values& inputs) {
  std::string signature;
  for (const auto& input : inputs) {
    const auto& tensor = input.toTensor();
    signature += std::to_string(static_cast<int>(tensor.scalar_type())) + "[";
    for (const auto size : tensor.sizes()) signature += std::to_string(size) + ",";
    signature += "]";
  }
  return signature;
}

}  // namespace

Replay::Recorded& Replay::recordedFor(const Values& inputs) {
  auto& recorded = bySignature_[signatureOf(inputs)];
  recorded.lastUse = ++uses_;
  if (bySignature_.size() > kShapesKept) {
    bySignature_.erase(std::min_element(bySignature_.begin(), bySignature_.end(), [](const auto& a, const auto& b) {
      return a.second.lastUse < b.second.lastUse;
    }));
  }
  return recorded;
}

at::Tensor Replay::replay(Recorded& recorded, const Values& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& given = inputs[i].toTensor();
    if (recorded.copied[i].is_same(given)) continue;
    recorded.inputs[i].toTensor().copy_(given, /*non_blocking=*/true);
    recorded.copied[i] = given;
  }
  recorded.recording->replay();
  ++replays_;
  return recorded.output;
}

at::Tensor Replay::run(const Values& inputs, const Computation& compute, const std::vector<at::Tensor>& reads) {
  if (recorder_ == nullptr || !reason_.empty()) return compute(inputs);
  auto& recorded = recordedFor(inputs);
  if (recorded.recording) return replay(recorded, inputs);
  if (recorded.runs++ < kRunsBefore) return compute(inputs);
  for (const auto& input : inputs) recorded.inputs.emplace_back(input.toTensor().clone());
  recorded.copied.resize(inputs.size());
  recorded.reads = reads;
  try {
    const std::lock_guard lock(recordingMutex());
    recorded.recording = recorder_->record([&] { recorded.output = compute(recorded.inputs); });
    ++recordings_;
  } catch (const std::exception& error) {
    const auto* plain = dynamic_cast<const c10::Error*>(&error);
    reason_ = plain != nullptr ? plain->what_without_backtrace() : error.what();
    bySignature_.clear();
    return compute(inputs);
  }
  return replay(recorded, inputs);
}

}  // namespace dg
