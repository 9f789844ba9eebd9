#include "native/binding/plan_check.h"

#include <cmath>

#include "native/binding/errors.h"

namespace dg::binding {

void requireConsistent(Napi::Env env, const Plan& plan) {
  const auto fail = [&](const std::string& what) {
    return error(env, "BAD_OPTION", "The plan is inconsistent: " + what);
  };
  const auto branches = static_cast<int64_t>(plan.branches.size());
  if (plan.latents.dim() < 2 || plan.latents.scalar_type() != at::kFloat)
    throw fail("latents are not float32 [images, …].");
  if (plan.inpainting.mask.defined()) {
    const auto& [mask, image, noise] = plan.inpainting;
    if (image.sizes() != plan.latents.sizes() || noise.sizes() != plan.latents.sizes() || mask.size(0) != 1)
      throw fail("the image or the noise of inpainting has another shape than the latents.");
  }
  const bool isSeeded = static_cast<int64_t>(plan.seeds.size()) == plan.latents.size(0);
  if (!plan.seeds.empty() && !isSeeded) throw fail("there is not one seed an image.");
  if (plan.batchSize < 1) throw fail("batchSize is below 1.");
  if (branches == 0) throw fail("there is no branch.");
  for (const auto& branch : plan.branches) {
    if (branch.conditioning < 0 || branch.conditioning >= static_cast<int64_t>(plan.conditionings.size())) {
      throw fail("a branch names a conditioning that does not exist.");
    }
    if (branch.reference >= branches) throw fail("a branch names a reference that does not exist.");
    for (const auto edit : branch.edits) {
      if (edit < 0 || edit >= static_cast<int64_t>(plan.edits.size()))
        throw fail("a branch names an edit that does not exist.");
    }
  }
  for (const auto& reuse : plan.adaptiveReuse) {
    if (reuse.branch < 0 || reuse.branch >= branches || plan.branches[reuse.branch].reference < 0) {
      throw fail("adaptive reuse names a branch without a reference.");
    }
  }
  if (plan.recording) {
    for (const auto branch : plan.recording->branches) {
      if (branch < 0 || branch >= branches) throw fail("a branch to record does not exist.");
    }
    for (const auto percentile : plan.recording->statistics.percentiles) {
      if (!(percentile >= 0 && percentile <= 100)) throw fail("a percentile is not from 0 to 100.");
    }
  }
  for (const auto& step : plan.steps) {
    if (static_cast<int64_t>(step.weights.size()) != branches) throw fail("a step has not one weight a branch.");
    if (!step.reuse.empty() && static_cast<int64_t>(step.reuse.size()) != branches)
      throw fail("a step's reuse has not one entry a branch.");
    if (step.noise != 0 && !isSeeded) throw fail("a step has noise, and there are no seeds.");
    bool evaluated = false;
    for (const auto weight : step.weights) {
      if (!std::isfinite(weight)) throw fail("a weight is not finite.");
      evaluated = evaluated || weight != 0;
    }
    if (!evaluated) throw fail("a step has no branch with a weight.");
    const bool isWeightedPerImage = static_cast<int64_t>(step.imageWeights.size()) == plan.latents.size(0);
    if (!step.imageWeights.empty() && !isWeightedPerImage)
      throw fail("the weights for each image are not as many as the images.");
    for (const auto& weights : step.imageWeights) {
      if (static_cast<int64_t>(weights.size()) != branches)
        throw fail("the weights of an image are not one for each branch.");
      for (const auto weight : weights) {
        if (!std::isfinite(weight)) throw fail("a weight is not finite.");
      }
    }
    for (const auto& adjustment : step.adjustments) {
      if (adjustment.branch < 0 || adjustment.branch >= branches || adjustment.reference < 0 ||
          adjustment.reference >= branches) {
        throw fail("an adjustment names a branch that does not exist.");
      }
    }
  }
}

}  // namespace dg::binding
