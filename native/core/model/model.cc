#include "native/core/model/model.h"

#include <ATen/Functions.h>

#include "native/core/archive/open.h"
#include "native/core/device/device.h"
#include "native/core/error.h"
#include "native/core/device/memory.h"
#include "native/core/graph/precision.h"
#include "native/core/hooks/tap.h"
#include "native/core/model/weights.h"

namespace dg {
namespace {

int64_t indexOfRole(const std::vector<ModelInput>& inputs, const std::string& role) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].role == role) return static_cast<int64_t>(i);
  }
  throw Error("BUNDLE_INVALID", "The transformer's inputs name none with the role '" + role + "'.");
}

// A scripted forward may have further arguments with defaults; they become constants of the graph.
void fitInputs(FlatModel& flat, const torch::jit::Module& module, size_t given) {
  const auto& arguments = module.get_method("forward").function().getSchema().arguments();
  for (size_t i = flat.graph->inputs().size(); i > given; --i) {
    const auto& fallback = arguments.at(i).default_value();
    if (!fallback) break;
    torch::jit::WithInsertPoint guard(flat.graph->block()->nodes().front());
    flat.graph->inputs()[i - 1]->replaceAllUsesWith(flat.graph->insertConstant(*fallback));
    flat.graph->eraseInput(i - 1);
  }
  if (flat.graph->inputs().size() != given) {
    throw Error("BUNDLE_INVALID", "The bundle describes " + std::to_string(given) +
                                      " inputs of the transformer, its forward takes " +
                                      std::to_string(flat.graph->inputs().size()) + ".");
  }
}

}  // namespace

std::unique_ptr<Model> Model::load(const LoadOptions& options) {
  registerOperators();
  requireDevice(options.device);
  useOwnStream(options.device);
  const at::NoGradGuard noGrad;
  auto model = std::make_unique<Model>();
  model->options_ = options;
  model->latent_ = indexOfRole(options.inputs, "latent");
  model->timestep_ = indexOfRole(options.inputs, "timestep");
  auto module = openArchive(options.file, options.allowAllOperators, options.identity);
  try {
    const auto size = moveWeights(module, options.device, options.dtype);
    model->parameters_ = size.parameters;
    model->bytes_ = size.bytes;
    model->flat_ = flatten(module, options.blocks, options.device, options.allowAllOperators);
    fitInputs(model->flat_, module, options.inputs.size());
    if (options.dtype != at::kFloat) matchPrecision(model->flat_.graph);
    model->flat_.fusions = options.fuse ? Fusions::named(*options.fuse) : Fusions::forDevice(options.device);
    model->fusionCounts_ = countFusions(*selectTaps(model->flat_, {}));
    model->recorder_ = makeWorkRecorder(options.device);
  } catch (const c10::Error& error) {
    if (isOutOfMemory(error)) {
      throw Error("OUT_OF_MEMORY", options.file + " does not fit into the memory of " + options.device.str() + ": " +
                                       error.what_without_backtrace());
    }
    throw Error("MODEL_UNREADABLE", options.file + " can not be prepared: " + error.what_without_backtrace());
  }
  return model;
}

at::Tensor Model::adapt(const at::Tensor& tensor, int64_t input) const {
  return toDevice(tensor, options_.device).to(options_.inputs[input].dtype.value_or(options_.dtype));
}

at::Tensor Model::forward(const Values& inputs, const HookSet& hooks, const std::vector<int64_t>& bypassed) {
  const auto& whole = chain({hooks.sites(), bypassed, {}}, {}, inputs);
  return predictionIn(whole.segments[0].program.run(inputs, &hooks).at(0));
}

const Chain& Model::chain(const TapSelection& taps, const std::vector<int64_t>& cuts, const Values& example) {
  const std::pair key{taps, cuts};
  const auto known = chains_.find(key);
  if (known != chains_.end()) return known->second;
  if (!fusionsChecked_) checkFusions(example);
  auto chain = cutGraph(selectTaps(flat_, taps), cuts);
  std::vector<bool> batched;
  for (const auto& input : options_.inputs) batched.push_back(input.batched);
  learnBatchRules(chain, example, batched);
  return chains_.emplace(key, std::move(chain)).first->second;
}

// Kinds that leave the unfused graph's result beyond fusionTolerance are not used. The two of the CPU that round where
// the separate operators do need no check there.
void Model::checkFusions(const Values& example) {
  fusionsChecked_ = true;
  bool exact = options_.device.is_cpu() && options_.dtype == at::kFloat;
  for (const auto& [kind, count] : fusionCounts_) exact = exact && (kind == "modulation" || kind == "residual");
  if (exact) return;
  const auto wanted = flat_.fusions;
  const auto outputWith = [&](const Fusions& fusions) {
    flat_.fusions = fusions;
    return predictionIn(Program(selectTaps(flat_, {})).run(example, nullptr).at(0)).to(at::kFloat);
  };
  const auto expected = outputWith(Fusions{});
  const double magnitude = expected.abs().max().item<double>();
  const auto differs = [&](const Fusions& fusions) {
    const double difference = (outputWith(fusions) - expected).abs().max().item<double>();
    return !(difference <= fusionTolerance(options_.dtype) * magnitude);
  };
  if (!differs(wanted)) {
    flat_.fusions = wanted;
    return;
  }
  std::vector<std::string> kept, dropped;
  for (const auto& kind : wanted.names()) (differs(Fusions::named({kind})) ? dropped : kept).push_back(kind);
  // None of them alone, but together: then none.
  if (dropped.empty() || differs(Fusions::named(kept))) {
    dropped = wanted.names();
    kept.clear();
  }
  flat_.fusions = Fusions::named(kept);
  for (const auto& kind : dropped) {
    fusionCounts_.erase(kind);
    fusionFinding_ += (fusionFinding_.empty() ? "" : ", ") + kind;
  }
  fusionFinding_ = "not fused, since the result differs from the unfused model's by more than " +
                   std::to_string(fusionTolerance(options_.dtype)) + " (relative): " + fusionFinding_;
}

void Model::forget() {
  recordedPlans_.clear();
  emptyCache(options_.device);
}

at::Tensor predictionIn(const c10::IValue& result) {
  if (result.isTensor()) return result.toTensor();
  if (result.isTuple() && !result.toTupleRef().elements().empty())
    return predictionIn(result.toTupleRef().elements()[0]);
  throw Error("MODEL_FAILED", "The model returned " + result.tagKind() + ": expected a tensor or a tuple of tensors.");
}

}  // namespace dg
