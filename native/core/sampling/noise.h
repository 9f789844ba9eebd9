#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "native/core/sampling/plan.h"

namespace dg {

// A standard normal tensor, equal to torch.randn(shape, generator=torch.Generator().manual_seed(seed)).
at::Tensor gaussian(uint64_t seed, at::IntArrayRef shape);

// Draws the plan's initial noise into its latents, where it has some.
void drawInitialNoise(Plan& plan);

// ε for the images of a group, each from its own generator, so that a picture does not depend on the others. The first
// draw of a generator is the picture's initial noise, whether or not that was used; the next are those of the steps.
class FreshNoise {
 public:
  FreshNoise(const Plan& plan, int64_t first, int64_t images);

  // Like x: float32, on its device.
  at::Tensor draw(const at::Tensor& x);

 private:
  std::vector<at::Generator> generators_;
};

}  // namespace dg
