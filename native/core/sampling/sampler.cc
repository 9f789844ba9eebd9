#include "native/core/sampling/sampler.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "native/core/sampling/combine.h"
#include "native/core/device/device.h"
#include "native/core/error.h"
#include "native/core/device/memory.h"
#include "native/core/device/recycle.h"
#include "native/core/sampling/reuse.h"
#include "native/core/sampling/update.h"

namespace dg {
namespace {

// x' = sample · x + Σ outputs[k] · D_k, newest first.
at::Tensor advance(const Step& step, const at::Tensor& x, const std::deque<at::Tensor>& history) {
  auto next = x * step.sample;
  for (size_t k = 0; k < step.outputs.size(); ++k) {
    if (step.outputs[k] != 0) next.add_(history.at(k), step.outputs[k]);
  }
  return next;
}

// What the mask keeps of a group's images is put back at the noise level that a step has reached.
class KeptImage {
 public:
  KeptImage(const Inpainting& inpainting, int64_t first, int64_t images, at::Device device) {
    if (!inpainting.mask.defined()) return;
    image_ = toDevice(inpainting.image.narrow(0, first, images), device);
    noise_ = toDevice(inpainting.noise.narrow(0, first, images), device);
    mask_ = toDevice(inpainting.mask, device);
  }

  at::Tensor putBack(const at::Tensor& x, const Step& step) const {
    if (!mask_.defined()) return x;
    const auto kept = image_ * step.keepImage + noise_ * step.keepNoise;
    return (1 - mask_) * kept + mask_ * x;
  }

 private:
  at::Tensor image_, noise_, mask_;
};

// ε for the images of a group, each from its own generator, so that a picture does not depend on the others. The first
// draw of a generator is the picture's initial noise, whether or not that was used; the next are those of the steps.
class FreshNoise {
 public:
  FreshNoise(const Plan& plan, int64_t first, int64_t images) {
    if (plan.seeds.empty()) return;
    for (int64_t image = first; image < first + images; ++image) {
      generators_.push_back(at::detail::createCPUGenerator(plan.seeds[image]));
    }
    draw(plan.latents.narrow(0, first, images));
  }

  // Like x: float32, on its device.
  at::Tensor draw(const at::Tensor& x) {
    auto sizes = x.sizes().vec();
    sizes[0] = 1;
    std::vector<at::Tensor> images;
    for (auto& generator : generators_) images.push_back(at::randn(sizes, generator, at::TensorOptions(at::kFloat)));
    return toDevice(at::cat(images), x.device());
  }

 private:
  std::vector<at::Generator> generators_;
};

size_t historyLength(const Plan& plan) {
  size_t longest = 1;
  for (const auto& step : plan.steps) longest = std::max(longest, step.outputs.size());
  return longest;
}

void requireFinite(const at::Tensor& x, const Step& step) {
  if (at::isfinite(x).all().item<bool>()) return;
  throw Error("MODEL_FAILED", "The latents are no longer finite after timestep " + std::to_string(step.timestep) +
                                  ": lower the guidance scales, or load the model in float32.");
}

// Whether the guidance sum and the sampler's update are one operator in this step: the sum is all there is to it.
bool isOnePass(const Model& model, const Plan& plan, const Step& step) {
  const bool reuses = std::any_of(plan.branches.begin(), plan.branches.end(),
                                  [](const Branch& branch) { return branch.reference >= 0; });
  return model.fusions().update && step.adjustments.empty() && !reuses;
}

void widen(std::vector<at::Tensor>& predictions) {
  for (auto& each : predictions) {
    if (each.defined()) each = each.to(at::kFloat);
  }
}

SampleResult sampleGroups(Model& model, const Plan& plan, const std::function<void(const Progress&)>& onStep,
                          const std::atomic<bool>& cancelled, const RecordSink& onRecords) {
  const c10::InferenceMode inference;
  std::optional<Recorder> recorder;
  if (plan.recording) recorder.emplace(model, *plan.recording, onRecords);
  const RecyclingScope recycling;
  SampleResult result;
  const auto count = plan.latents.size(0);
  const auto longest = historyLength(plan);
  const auto steps = static_cast<int64_t>(plan.steps.size());
  std::vector<at::Tensor> finished;
  for (int64_t first = 0; first < count; first += plan.batchSize) {
    const auto images = std::min(plan.batchSize, count - first);
    BranchEvaluator evaluator(model, plan, first, images, cancelled, recorder ? &*recorder : nullptr);
    Reuse reuse(plan);
    Combiner combiner;
    FreshNoise noise(plan, first, images);
    const KeptImage kept(plan.inpainting, first, images, model.device());
    std::deque<at::Tensor> history;
    Pace pace(model.device());
    auto x = toDevice(plan.latents.narrow(0, first, images).contiguous(), model.device());
    for (int64_t i = 0; i < steps; ++i) {
      const auto& step = plan.steps[i];
      const auto given = step.inputScale == 1 ? x : x * step.inputScale;
      const auto wanted = reuse.wanted(i);
      if (recorder) recorder->begin(i, step.timestep, first, images);
      auto predictions = evaluator.evaluate(wanted, given, step.timestep, i);
      if (recorder) recorder->finish();
      result.evaluations += images * std::count(wanted.begin(), wanted.end(), 1);
      at::Tensor next;
      if (isOnePass(model, plan, step)) {
        auto update = guideAndAdvance(predictions, step, x, history);
        history.push_front(update.guided);
        next = update.next;
      } else {
        widen(predictions);
        reuse.observe(evaluator.measured(), wanted);
        reuse.complete(predictions, wanted);
        history.push_front(combiner.combine(predictions, step));
        next = advance(step, x, history);
      }
      if (history.size() > longest) history.pop_back();
      at::Tensor preview;
      if (plan.preview && onStep) {
        preview = toHost(x * step.previewSample + history.front() * step.previewOutput);
      }
      x = next;
      if (step.noise != 0) x.add_(noise.draw(x), step.noise);
      x = kept.putBack(x, step);
      pace.step();
      if (onStep) onStep({i + 1, steps, first, images, step.timestep, preview});
    }
    if (steps > 0 && !recorder) requireFinite(x, plan.steps.back());
    finished.push_back(toHost(x));
    result.execution.partialForward = evaluator.partialForward();
    const auto graphs = evaluator.graphs();
    result.execution.graphs.captured += graphs.captured;
    result.execution.graphs.replayed += graphs.replayed;
    result.execution.graphs.reason = graphs.reason;
  }
  result.latents = at::cat(finished);
  result.execution.fused = model.fusionCounts();
  result.execution.notFused = model.fusionFinding();
  return result;
}

}  // namespace

SampleResult sample(Model& model, const Plan& plan, const std::function<void(const Progress&)>& onStep,
                    const std::atomic<bool>& cancelled, const RecordSink& onRecords) {
  try {
    return sampleGroups(model, plan, onStep, cancelled, onRecords);
  } catch (const std::exception& error) {
    if (!isOutOfMemory(error)) throw;
    // What is left over from the attempt would be missing in the next.
    model.forget();
    if (dynamic_cast<const Error*>(&error) != nullptr) throw;
    throw Error("OUT_OF_MEMORY", std::string("Sampling did not fit into memory: ") + error.what() +
                                     ". Use a smaller size or batch, or a 16 bit dtype.");
  }
}

at::Tensor gaussian(uint64_t seed, at::IntArrayRef shape) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator, at::TensorOptions(at::kFloat));
}

}  // namespace dg
