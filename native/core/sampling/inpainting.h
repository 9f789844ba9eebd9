#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "native/core/sampling/plan.h"

namespace dg {

// Puts back what the mask keeps of a group's images, at the noise level that a step has reached.
class Inpainter {
 public:
  // For the images from `first` on; does nothing without a mask.
  Inpainter(const Inpainting& inpainting, int64_t first, int64_t images, at::Device device);

  at::Tensor putBack(const at::Tensor& x, const Step& step) const;

 private:
  at::Tensor image_, noise_, mask_;
};

}  // namespace dg
