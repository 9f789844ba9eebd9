#include "native/core/sampling/noise.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>

#include "native/core/device/device.h"

namespace dg {

at::Tensor gaussian(uint64_t seed, at::IntArrayRef shape) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator, at::TensorOptions(at::kFloat));
}

void drawInitialNoise(Plan& plan) {
  if (!plan.noise) return;
  const auto& [seeds, scale] = *plan.noise;
  for (size_t image = 0; image < seeds.size(); ++image) {
    auto state = plan.latents[static_cast<int64_t>(image)];
    const auto drawn = gaussian(seeds[image], state.sizes());
    // In float64, as the facade scales noise that is given to it.
    state.copy_(scale == 1 ? drawn : drawn.to(at::kDouble).mul_(scale));
  }
}

FreshNoise::FreshNoise(const Plan& plan, int64_t first, int64_t images) {
  if (plan.seeds.empty()) return;
  for (int64_t image = first; image < first + images; ++image) {
    generators_.push_back(at::detail::createCPUGenerator(plan.seeds[image]));
  }
  draw(plan.latents.narrow(0, first, images));
}

at::Tensor FreshNoise::draw(const at::Tensor& x) {
  auto sizes = x.sizes().vec();
  sizes[0] = 1;
  std::vector<at::Tensor> images;
  for (auto& generator : generators_) images.push_back(at::randn(sizes, generator, at::TensorOptions(at::kFloat)));
  return toDevice(at::cat(images), x.device());
}

}  // namespace dg
