#include "native/core/reuse.h"

namespace dg {

bool Reuse::canReuse(size_t branch) const {
  return plan_.branches[branch].reference >= 0 && differences_.count(branch) > 0;
}

std::vector<uint8_t> Reuse::wanted(int64_t i) const {
  const auto& step = plan_.steps[i];
  std::vector<uint8_t> wanted(plan_.branches.size(), 0);
  for (size_t b = 0; b < wanted.size(); ++b) {
    if (step.weights[b] == 0) continue;
    const bool reused = !step.reuse.empty() && step.reuse[b] != 0 && canReuse(b);
    wanted[b] = reused ? 0 : 1;
    if (reused || plan_.branches[b].reference >= 0) wanted[plan_.branches[b].reference] = 1;
  }
  for (const auto& adjustment : step.adjustments) wanted[adjustment.reference] = 1;
  return wanted;
}

void Reuse::complete(std::vector<at::Tensor>& predictions, const std::vector<uint8_t>& wanted) {
  for (size_t b = 0; b < predictions.size(); ++b) {
    const auto reference = plan_.branches[b].reference;
    if (reference < 0) continue;
    if (wanted[b]) {
      differences_[b] = predictions[reference] - predictions[b];
    } else if (canReuse(b) && predictions[reference].defined()) {
      predictions[b] = predictions[reference] - differences_[b];
    }
  }
}

}  // namespace dg
