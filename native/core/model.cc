#include "native/core/model.h"

#include <ATen/Functions.h>

#include "native/core/archive.h"
#include "native/core/error.h"
#include "native/core/precision.h"
#include "native/core/tap.h"
#include "native/core/weights.h"

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
  const at::NoGradGuard noGrad;
  auto model = std::make_unique<Model>();
  model->options_ = options;
  model->latent_ = indexOfRole(options.inputs, "latent");
  model->timestep_ = indexOfRole(options.inputs, "timestep");
  auto module = openArchive(options.file, options.allowAllOperators);
  try {
    const auto size = moveWeights(module, options.device, options.dtype);
    model->parameters_ = size.parameters;
    model->bytes_ = size.bytes;
    model->flat_ = flatten(module, options.blocks, options.device, options.allowAllOperators);
    fitInputs(model->flat_, module, options.inputs.size());
    if (options.dtype != at::kFloat) matchPrecision(model->flat_.graph);
  } catch (const c10::OutOfMemoryError& error) {
    throw Error("OUT_OF_MEMORY", options.file + " does not fit into the memory of " + options.device.str() + ": " +
                                     error.what_without_backtrace());
  } catch (const c10::Error& error) {
    throw Error("MODEL_UNREADABLE", options.file + " can not be prepared: " + error.what_without_backtrace());
  }
  return model;
}

at::Tensor Model::adapt(const at::Tensor& tensor, int64_t input) const {
  const auto dtype = options_.inputs[input].dtype.value_or(options_.dtype);
  return tensor.to(at::TensorOptions(options_.device).dtype(dtype));
}

at::Tensor Model::forward(const Values& inputs, const HookSet& hooks, const std::vector<int64_t>& bypassed) {
  const auto& whole = chain({hooks.sites(), bypassed, {}}, {}, inputs);
  return predictionIn(whole.segments[0].program.run(inputs, &hooks).at(0));
}

const Chain& Model::chain(const TapSelection& taps, const std::vector<int64_t>& cuts, const Values& example) {
  const std::pair key{taps, cuts};
  const auto known = chains_.find(key);
  if (known != chains_.end()) return known->second;
  auto chain = cutGraph(selectTaps(flat_, taps), cuts);
  std::vector<bool> batched;
  for (const auto& input : options_.inputs) batched.push_back(input.batched);
  learnBatchRules(chain, example, batched);
  return chains_.emplace(key, std::move(chain)).first->second;
}

at::Tensor predictionIn(const c10::IValue& result) {
  if (result.isTensor()) return result.toTensor();
  if (result.isTuple() && !result.toTupleRef().elements().empty())
    return predictionIn(result.toTupleRef().elements()[0]);
  throw Error("MODEL_FAILED", "The model returned " + result.tagKind() + ": expected a tensor or a tuple of tensors.");
}

}  // namespace dg
