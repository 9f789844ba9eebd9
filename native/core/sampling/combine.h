#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "native/core/sampling/plan.h"

namespace dg {

// The guided prediction D = Σ_b weights[b] · D_b in float32, with the steps that are not linear:
//   project  D_u := (⟨D_c, D_u⟩ / ‖D_u‖²) · D_u before the sum        CFG-Zero*, arXiv 2503.18886
//   apg      D_u := D_c − (Δ⊥ + η Δ∥), Δ = D_c − D_u with momentum and a norm limit   APG, arXiv 2410.02416
//   rescale  D := φ · D · std(D_c) / std(D) + (1 − φ) · D after the sum       arXiv 2305.08891
//   zero     D := 0 (the first steps of CFG-Zero*)
// Sums and norms are over one image. Keeps APG's running average between the steps of one sampling run.
class Combiner {
 public:
  // firstImage: of the predictions, in the plan.
  explicit Combiner(int64_t firstImage = 0) : firstImage_(firstImage) {}

  // predictions[b]: float32 [images, …]; undefined where weights[b] is 0. Changes `predictions`.
  at::Tensor combine(std::vector<at::Tensor>& predictions, const Step& step);

 private:
  int64_t firstImage_;
  std::unordered_map<int64_t, at::Tensor> momentum_;  // by branch
};

}  // namespace dg
