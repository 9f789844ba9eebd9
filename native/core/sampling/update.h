#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <vector>

#include "native/core/sampling/plan.h"

namespace dg {

// The guided prediction D = Σ_b weights[b] · D_b, and the sampler's next state
// x' = sample · x + outputs[0] · D + Σ_k outputs[k] · (D of k steps ago).
struct Update {
  at::Tensor guided;  // float32
  at::Tensor next;    // float32
};

// As one operator: a single pass where the device has a kernel for it. `predictions` in any floating dtype, undefined
// where the weight is 0. Only for steps without adjustments, which are not linear.
Update guideAndAdvance(const std::vector<at::Tensor>& predictions, const Step& step, const at::Tensor& x,
                       const std::deque<at::Tensor>& history);

}  // namespace dg
