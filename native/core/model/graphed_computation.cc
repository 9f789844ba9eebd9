#include "native/core/model/graphed_computation.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "native/core/cancellation.h"

namespace dg {
namespace {

// Libraries choose their algorithms and take their workspaces in the first runs, which a capture could not hold.
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

GraphedComputation::Graphed& GraphedComputation::graphedFor(const Values& inputs) {
  auto& graphed = bySignature_[signatureOf(inputs)];
  graphed.lastUse = ++uses_;
  if (bySignature_.size() > kShapesKept) {
    bySignature_.erase(std::min_element(bySignature_.begin(), bySignature_.end(), [](const auto& a, const auto& b) {
      return a.second.lastUse < b.second.lastUse;
    }));
  }
  return graphed;
}

const Evaluation& GraphedComputation::replay(Graphed& graphed, const Values& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& input = inputs[i].toTensor();
    if (graphed.copied[i].is_same(input)) continue;
    graphed.inputs[i].toTensor().copy_(input, /*non_blocking=*/true);
    graphed.copied[i] = input;
  }
  graphed.graph->replay();
  ++replayed_;
  return graphed.output;
}

Evaluation GraphedComputation::run(const Values& inputs, const Computation& compute,
                                   const std::vector<at::Tensor>& reads) {
  if (capturer_ == nullptr || !reason_.empty()) return compute(inputs);
  auto& graphed = graphedFor(inputs);
  if (graphed.graph) return replay(graphed, inputs);
  if (graphed.runs++ < kRunsBefore) return compute(inputs);
  for (const auto& input : inputs) graphed.inputs.emplace_back(input.toTensor().clone());
  graphed.copied.resize(inputs.size());
  graphed.reads = reads;
  try {
    const std::lock_guard lock(captureMutex());
    // A capture that ends early would look like one that is not possible.
    static const std::atomic<bool> never{false};
    const CancelScope uninterrupted(never);
    graphed.graph = capturer_->capture([&] { graphed.output = compute(graphed.inputs); });
    ++captured_;
  } catch (const std::exception& error) {
    const auto* plain = dynamic_cast<const c10::Error*>(&error);
    reason_ = plain != nullptr ? plain->what_without_backtrace() : error.what();
    bySignature_.clear();
    return compute(inputs);
  }
  return replay(graphed, inputs);
}

}  // namespace dg
