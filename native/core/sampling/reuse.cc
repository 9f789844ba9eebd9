#include "native/core/sampling/reuse.h"

#include <ATen/Functions.h>

namespace dg {

bool Reuse::canReuse(size_t branch) const {
  return plan_.branches[branch].reference >= 0 && differences_.count(branch) > 0;
}

bool Reuse::isQuiet(size_t branch, int64_t i) const {
  if (i + 1 == static_cast<int64_t>(plan_.steps.size())) return false;
  for (size_t k = 0; k < adaptive_.size(); ++k) {
    const bool measured = plan_.adaptiveReuse[k].branch == static_cast<int64_t>(branch) && adaptive_[k].last > 0;
    if (measured) return adaptive_[k].accumulated + adaptive_[k].last < plan_.adaptiveReuse[k].threshold;
  }
  return false;
}

void Reuse::observe(const std::vector<at::Tensor>& hidden, const std::vector<uint8_t>& branchMask) {
  for (size_t k = 0; k < adaptive_.size(); ++k) {
    auto& change = adaptive_[k];
    if (!hidden[k].defined()) continue;
    if (change.previous.defined()) {
      const auto moved = (hidden[k] - change.previous).abs().mean() / (change.previous.abs().mean() + 1e-12);
      change.last = moved.item<double>();
      change.accumulated += change.last;
    }
    if (branchMask[plan_.adaptiveReuse[k].branch]) change.accumulated = 0;
    change.previous = hidden[k];
  }
}

std::vector<uint8_t> Reuse::branchMask(int64_t i) const {
  const auto& step = plan_.steps[i];
  std::vector<uint8_t> branchMask(plan_.branches.size(), 0);
  for (size_t b = 0; b < branchMask.size(); ++b) {
    if (step.weights[b] == 0) continue;
    const bool planned = !step.reuse.empty() && step.reuse[b] != 0;
    const bool reused = canReuse(b) && (planned || isQuiet(b, i));
    branchMask[b] = reused ? 0 : 1;
    if (reused || plan_.branches[b].reference >= 0) branchMask[plan_.branches[b].reference] = 1;
  }
  for (const auto& adjustment : step.adjustments) branchMask[adjustment.reference] = 1;
  return branchMask;
}

void Reuse::complete(std::vector<at::Tensor>& predictions, const std::vector<uint8_t>& branchMask) {
  for (size_t b = 0; b < predictions.size(); ++b) {
    const auto reference = plan_.branches[b].reference;
    if (reference < 0) continue;
    if (branchMask[b]) {
      differences_[b] = predictions[reference] - predictions[b];
    } else if (canReuse(b) && predictions[reference].defined()) {
      predictions[b] = predictions[reference] - differences_[b];
    }
  }
}

}  // namespace dg
