#include "native/core/sampling/finite_watch.h"

#include <ATen/Functions.h>

#include <cmath>
#include <utility>

namespace dg {

void FiniteWatch::look(int64_t step, const at::Tensor& given, const std::vector<at::Tensor>& predictions) {
  Seen seen;
  seen.step = step;
  seen.given = given;
  std::vector<at::Tensor> magnitudes;
  for (size_t b = 0; b < predictions.size(); ++b) {
    if (!predictions[b].defined()) continue;
    seen.branches.push_back(static_cast<int64_t>(b));
    magnitudes.push_back(predictions[b].abs().amax());
  }
  const auto found = at::stack(magnitudes).to(at::kFloat);
  seen.magnitudes = found;
  if (!found.is_cpu()) {
    seen.magnitudes = at::empty(found.sizes(), found.options().device(at::kCPU).pinned_memory(true));
    seen.magnitudes.copy_(found, /*non_blocking=*/true);
  }
  waiting_.push_back(std::move(seen));
}

std::optional<FiniteWatch::Finding> FiniteWatch::find(bool all) {
  while (!waiting_.empty()) {
    const bool isFinished = all || waiting_.size() > 1 || waiting_.front().given.is_cpu();
    if (!isFinished) break;
    auto seen = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    const float* values = seen.magnitudes.const_data_ptr<float>();
    for (size_t k = 0; k < seen.branches.size(); ++k) {
      if (!std::isfinite(values[k])) return Finding{seen, seen.branches[k]};
    }
  }
  return std::nullopt;
}

}  // namespace dg
