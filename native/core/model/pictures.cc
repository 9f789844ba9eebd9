#include "native/core/model/pictures.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <string>

#include "native/core/error.h"

namespace dg {
namespace {

constexpr int64_t kChannels = 3;

// `planes` float32 [3, height, width], contiguous, on the CPU. Whether one of its values is not finite.
bool fill(const at::Tensor& planes, const PictureForm& form, uint8_t* pixels) {
  const auto* values = planes.const_data_ptr<float>();
  const int64_t plane = form.height * form.width;
  const double black = form.black, span = form.white - form.black;
  constexpr double most = std::numeric_limits<float>::max();
  std::atomic<bool> overflowed = false;
  at::parallel_for(0, plane, int64_t{1} << 14, [&](int64_t begin, int64_t end) {
    bool seen = false;
    for (int64_t channel = 0; channel < kChannels; ++channel) {
      const auto* from = values + channel * plane;
      for (int64_t at = begin; at < end; ++at) {
        const double value = from[at];
        seen |= !(std::abs(value) <= most);
        const double level = (value - black) / span * 255;
        // Halves away from zero; the order makes NaN 0.
        pixels[at * kChannels + channel] = static_cast<uint8_t>(std::min(255.0, std::max(0.0, level)) + 0.5);
      }
    }
    if (seen) overflowed = true;
  });
  return overflowed;
}

}  // namespace

Pictures toPictures(const at::Tensor& values, const PictureForm& form, uint8_t* first) {
  const c10::InferenceMode inference;
  Pictures made;
  made.shape = values.sizes().vec();
  const bool isVideo = values.dim() == 5;
  if (!isVideo && values.dim() != 4) return made;
  if (values.size(0) != 1 || values.size(1) != kChannels) return made;
  if (values.size(-2) != form.height || values.size(-1) != form.width) return made;
  if (!values.is_floating_point()) {
    throw Error("MODEL_FAILED", std::string("The pictures are of ") + c10::toString(values.scalar_type()) +
                                    ": expected floating-point numbers.");
  }
  made.frames = isVideo ? values.size(2) : 1;
  for (int64_t frame = 0; frame < made.frames; ++frame) {
    const auto planes = (isVideo ? values.select(2, frame) : values).select(0, 0).to(at::kCPU, at::kFloat).contiguous();
    auto* pixels = first;
    if (frame > 0) {
      made.others.push_back(at::empty({form.height, form.width, kChannels}, at::kByte));
      pixels = made.others.back().data_ptr<uint8_t>();
    }
    made.overflowed = fill(planes, form, pixels) || made.overflowed;
  }
  return made;
}

}  // namespace dg
