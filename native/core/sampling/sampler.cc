#include "native/core/sampling/sampler.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "native/core/cancellation.h"
#include "native/core/device/device.h"
#include "native/core/device/memory.h"
#include "native/core/device/recycle.h"
#include "native/core/error.h"
#include "native/core/sampling/combine.h"
#include "native/core/sampling/evaluator.h"
#include "native/core/sampling/finite_watch.h"
#include "native/core/sampling/inpainting.h"
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

size_t historyLength(const Plan& plan) {
  size_t longest = 1;
  for (const auto& step : plan.steps) longest = std::max(longest, step.outputs.size());
  return longest;
}

// The error for a prediction that is not finite: in which step, of which branch, from which site on.
Error notFinite(const FiniteWatch::Finding& finding, const Model& model, const Plan& plan, BranchEvaluator& evaluator) {
  const auto& [step, latents, magnitudes, branches] = finding.observation;
  const auto timestep = plan.steps[step].timestep;
  const std::string when = "In step " + std::to_string(step + 1) + " of " + std::to_string(plan.steps.size()) +
                           " (timestep " + std::to_string(timestep) + ") ";
  if (!at::isfinite(latents).all().item<bool>()) {
    return Error("MODEL_FAILED", when +
                                     "the latents are not finite any more, though every prediction before was. "
                                     "Lower the guidance scales, or use another sampler.");
  }
  const auto& name = plan.branches[finding.branch].name;
  std::string text =
      when + "the prediction of branch " + (name.empty() ? std::to_string(finding.branch) : name) + " is not finite.";
  bool isEdited = false;
  if (const auto site = evaluator.firstNonFiniteSite(finding.branch, latents, timestep, step)) {
    const auto& [path, tap, element, block, stream, className, bypass] = model.flat().sites[*site];
    text += " The first such values are at " + path + " (" + dg::name(tap) + ").";
    isEdited = evaluator.isEdited(*site, finding.branch);
  }
  if (model.dtype() == at::kHalf) {
    text += " float16 ends at 65504: load the model in bfloat16 or float32.";
  } else {
    text += isEdited ? " The branch is edited there: use a weaker edit, or other channels."
                     : " Check the model's weights, its conditioning and the size of the picture.";
  }
  return Error("MODEL_FAILED", text);
}

// What the sampler itself makes of finite predictions in its last step.
void requireFinite(const at::Tensor& x) {
  if (at::isfinite(x).all().item<bool>()) return;
  throw Error("MODEL_FAILED",
              "The latents are not finite after the last step, though every prediction was. Lower the guidance scales, "
              "or use another sampler.");
}

// Whether the guidance sum and the sampler's update are one operator in this step: the sum is all there is to it.
bool isOnePass(const Model& model, const Plan& plan, const Step& step) {
  const bool reuses = std::any_of(plan.branches.begin(), plan.branches.end(),
                                  [](const Branch& branch) { return branch.reference >= 0; });
  return model.fusions().update && step.adjustments.empty() && step.imageWeights.empty() && !reuses;
}

void widen(std::vector<at::Tensor>& predictions) {
  for (auto& prediction : predictions) {
    if (prediction.defined()) prediction = prediction.to(at::kFloat);
  }
}

std::optional<OffloadReport> offloadOf(const Model& model, const OffloadUse& before) {
  if (!model.offloaded()) return std::nullopt;
  const auto now = model.offloadUse();
  const auto& [blocks, bytes, largest] = *model.offloaded();
  return OffloadReport{blocks, bytes, now.resident, now.brought - before.brought};
}

SampleResult sampleGroups(Model& model, const Plan& plan, const std::function<void(const Progress&)>& onStep,
                          const std::atomic<bool>& cancelled, const RecordSink& onRecords) {
  const c10::InferenceMode inference;
  const CancelScope scope(cancelled);
  std::optional<Recorder> recorder;
  if (plan.recording) recorder.emplace(model.flat().sites, *plan.recording, onRecords);
  const RecyclingScope recycling;
  SampleResult result;
  const auto offloadBefore = model.offloadUse();
  const auto count = plan.latents.size(0);
  const auto longest = historyLength(plan);
  const auto steps = static_cast<int64_t>(plan.steps.size());
  std::vector<at::Tensor> finished;
  for (int64_t first = 0; first < count; first += plan.batchSize) {
    const auto images = std::min(plan.batchSize, count - first);
    BranchEvaluator evaluator(model, plan, first, images, recorder ? &*recorder : nullptr);
    Reuse reuse(plan);
    Combiner combiner(first);
    FreshNoise noise(plan, first, images);
    const Inpainter inpainter(plan.inpainting, first, images, model.device());
    std::deque<at::Tensor> history;
    FiniteWatch watch;
    const auto requireFinitePredictions = [&](bool all) {
      if (const auto bad = watch.find(all)) throw notFinite(*bad, model, plan, evaluator);
    };
    Pace pace(model.device());
    auto x = toDevice(plan.latents.narrow(0, first, images).contiguous(), model.device());
    for (int64_t i = 0; i < steps; ++i) {
      const auto& step = plan.steps[i];
      const auto input = step.inputScale == 1 ? x : x * step.inputScale;
      const auto branchMask = reuse.branchMask(i);
      if (recorder) recorder->begin(i, step.timestep, first, images);
      auto predictions = evaluator.evaluate(branchMask, input, step.timestep, i);
      if (recorder) {
        recorder->finish();
      } else {
        watch.look(i, input, predictions);
      }
      result.evaluations += images * std::count(branchMask.begin(), branchMask.end(), 1);
      at::Tensor next;
      if (isOnePass(model, plan, step)) {
        auto update = guideAndAdvance(predictions, step, x, history);
        history.push_front(update.guided);
        next = update.next;
      } else {
        widen(predictions);
        reuse.observe(evaluator.measured(), branchMask);
        reuse.complete(predictions, branchMask);
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
      x = inpainter.putBack(x, step);
      pace.step();
      requireFinitePredictions(false);
      if (onStep) onStep({i + 1, steps, first, images, step.timestep, preview});
    }
    finished.push_back(toHost(x));
    requireFinitePredictions(true);
    if (steps > 0 && !recorder) requireFinite(finished.back());
    result.execution.partialForward = evaluator.partialForward();
    const auto graphs = evaluator.graphs();
    result.execution.graphs.captured += graphs.captured;
    result.execution.graphs.replayed += graphs.replayed;
    result.execution.graphs.reason = graphs.reason;
  }
  result.latents = at::cat(finished);
  result.execution.fused = model.fusionCounts();
  result.execution.notFused = model.fusionFinding();
  result.execution.quantised = model.quantised();
  result.execution.offload = offloadOf(model, offloadBefore);
  if (result.execution.offload && model.device().is_cuda()) {
    result.execution.graphs.reason = "the weights of the blocks wait in host memory (offload)";
  }
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

}  // namespace dg
