#include "native/core/sampling/finite_watch.h"

#include <ATen/Functions.h>

#include <cmath>
#include <utility>

namespace dg {

void FiniteWatch::look(int64_t step, const at::Tensor& latents, const std::vector<at::Tensor>& predictions) {
  Observation observation;
  observation.step = step;
  observation.latents = latents;
  std::vector<at::Tensor> magnitudes;
  for (size_t b = 0; b < predictions.size(); ++b) {
    if (!predictions[b].defined()) continue;
    observation.branches.push_back(static_cast<int64_t>(b));
    magnitudes.push_back(predictions[b].abs().amax());
  }
  const auto stacked = at::stack(magnitudes).to(at::kFloat);
  observation.magnitudes = stacked;
  if (!stacked.is_cpu()) {
    observation.magnitudes = at::empty(stacked.sizes(), stacked.options().device(at::kCPU).pinned_memory(true));
    observation.magnitudes.copy_(stacked, /*non_blocking=*/true);
  }
  waiting_.push_back(std::move(observation));
}

std::optional<FiniteWatch::Finding> FiniteWatch::find(bool all) {
  while (!waiting_.empty()) {
    const bool isFinished = all || waiting_.size() > 1 || waiting_.front().latents.is_cpu();
    if (!isFinished) break;
    auto observation = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    const float* values = observation.magnitudes.const_data_ptr<float>();
    for (size_t k = 0; k < observation.branches.size(); ++k) {
      if (!std::isfinite(values[k])) return Finding{observation, observation.branches[k]};
    }
  }
  return std::nullopt;
}

}  // namespace dg
