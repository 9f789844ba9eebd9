#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "native/core/model/model.h"
#include "native/core/sampling/plan.h"

namespace dg {

// What the model is given for the branches of a plan and a group of images.
class BranchInputs {
 public:
  // `model` and `plan` outlive it. Throws BAD_TENSOR where the plan's conditionings are not what the model takes.
  BranchInputs(const Model& model, const Plan& plan, int64_t firstImage, int64_t images)
      : model_(model), plan_(plan), firstImage_(firstImage), images_(images) {
    requireFitting();
  }

  // What is the same in every step, on the device: rows of `branches` one after the other; none where latents and
  // timestep go.
  Values fixed(const std::vector<int64_t>& branches) const;

  // With latents and timestep for `branches` branches.
  Values complete(const Values& fixed, int64_t branches, const at::Tensor& latents, double timestep) const;

 private:
  void requireFitting() const;

  const Model& model_;
  const Plan& plan_;
  int64_t firstImage_, images_;
};

}  // namespace dg
