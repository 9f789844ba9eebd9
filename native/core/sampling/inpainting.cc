#include "native/core/sampling/inpainting.h"

#include <ATen/Functions.h>

#include "native/core/device/device.h"

namespace dg {

Inpainter::Inpainter(const Inpainting& inpainting, int64_t first, int64_t images, at::Device device) {
  if (!inpainting.mask.defined()) return;
  image_ = toDevice(inpainting.image.narrow(0, first, images), device);
  noise_ = toDevice(inpainting.noise.narrow(0, first, images), device);
  mask_ = toDevice(inpainting.mask, device);
}

at::Tensor Inpainter::putBack(const at::Tensor& x, const Step& step) const {
  if (!mask_.defined()) return x;
  const auto original = image_ * step.keepImage + noise_ * step.keepNoise;
  return (1 - mask_) * original + mask_ * x;
}

}  // namespace dg
