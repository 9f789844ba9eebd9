#include "native/core/model/model.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <utility>

#include "native/core/archive/open.h"
#include "native/core/device/capability.h"
#include "native/core/device/device.h"
#include "native/core/device/memory.h"
#include "native/core/error.h"
#include "native/core/graph/pack.h"
#include "native/core/graph/place_constants.h"
#include "native/core/graph/precision.h"
#include "native/core/model/choose_fusions.h"
#include "native/core/model/operator_library.h"
#include "native/core/model/prediction.h"
#include "native/core/model/preparation.h"
#include "native/core/model/run_chain.h"
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
void fitInputs(FlatModel& flat, const torch::jit::Module& module, size_t count) {
  const auto& arguments = module.get_method("forward").function().getSchema().arguments();
  for (size_t i = flat.graph->inputs().size(); i > count; --i) {
    const auto& fallback = arguments.at(i).default_value();
    if (!fallback) break;
    torch::jit::WithInsertPoint guard(flat.graph->block()->nodes().front());
    flat.graph->inputs()[i - 1]->replaceAllUsesWith(flat.graph->insertConstant(*fallback));
    flat.graph->eraseInput(i - 1);
  }
  if (flat.graph->inputs().size() != count) {
    throw Error("BUNDLE_INVALID", "The bundle describes " + std::to_string(count) +
                                      " inputs of the transformer, its forward takes " +
                                      std::to_string(flat.graph->inputs().size()) + ".");
  }
}

std::vector<bool> tokenInputs(const std::vector<ModelInput>& inputs) {
  std::vector<bool> carry;
  for (const auto& input : inputs) carry.push_back(input.role == "latent" || input.role == "text");
  return carry;
}

}  // namespace

std::unique_ptr<Model> Model::load(const LoadOptions& options) {
  registerOperators();
  requireDevice(options.device);
  std::optional<QuantisedTarget> target;
  if (options.quantise) {
    const auto product = productFor(options.device, computeCapability(options.device), options.quantise->format,
                                    options.quantise->scope, !options.quantise->stored.empty());
    target = {product, options.device, options.offloadBlocks ? at::Device(at::kCPU) : options.device, options.dtype};
  }
  useOwnStream(options.device);
  const at::NoGradGuard noGrad;
  auto model = std::make_unique<Model>();
  model->options_ = options;
  model->latent_ = indexOfRole(options.inputs, "latent");
  model->timestep_ = indexOfRole(options.inputs, "timestep");
  auto module = openArchive(options.file, options.allowAllOperators, options.identity);
  try {
    // What is quantised goes to the device in 8 bits, so that the plain weights need not fit there.
    const auto place = target ? at::Device(at::kCPU) : options.device;
    const auto size =
        moveWeights(module, place, options.dtype, options.offloadBlocks ? options.blocks : std::vector<BlockPattern>());
    model->parameters_ = size.parameters;
    model->bytes_ = size.bytes;
    model->flat_ = flatten(module, options.blocks, place, options.allowAllOperators, size.waiting);
    fitInputs(model->flat_, module, options.inputs.size());
    model->inventory_ = weightInventory(module, model->flat_, tokenInputs(options.inputs));
    if (target) model->quantise(module, *target);
    module = torch::jit::Module();  // a weight is gone when another takes its place
    if (place != options.device) placeConstants(*model->flat_.graph, options.device, size.waiting);
    if (options.offloadBlocks) {
      model->offload_ = std::make_shared<BlockOffload>(options.device);
      model->offloaded_ =
          offloadBlocks(*model->flat_.graph, model->flat_.sites, options.device, size.waiting, model->offload_);
    }
    if (options.dtype != at::kFloat || size.isCast) matchPrecision(model->flat_.graph);
    model->fusions_ = options.fuse ? Fusions::named(*options.fuse) : Fusions::forDevice(options.device, options.dtype);
    // What waits on the host for another device is not packed there.
    if (!options.device.is_cpu()) model->fusions_.pack = false;
    model->fusionCounts_ = countFusions(*selectTaps(model->flat_, {}, model->fusions_));
    const auto packable = model->fusions_.pack ? countPackable(*model->flat_.graph) : 0;
    if (packable > 0) model->fusionCounts_["pack"] = packable;
    model->fusionsChecked_ = options.device.is_cpu() && options.dtype == at::kFloat &&
                             std::all_of(model->fusionCounts_.begin(), model->fusionCounts_.end(),
                                         [](const auto& kindAndCount) { return isExact(kindAndCount.first); });
    if (!options.offloadBlocks) model->capturer_ = makeGraphCapturer(options.device);
  } catch (const c10::Error& error) {
    refusePreparation(options.file, options.device, error);
  }
  return model;
}

void Model::quantise(torch::jit::Module& module, const QuantisedTarget& target) {
  const WeightNames names(module);
  module = torch::jit::Module();  // a weight is gone when its layer is quantised
  quantised_ =
      quantiseLinears(*flat_.graph, flat_.sites, names, tokenInputs(options_.inputs), *options_.quantise, target);
  bytes_ += quantised_->bytesAfter - quantised_->bytesBefore;
  options_.quantise.reset();
}

std::vector<StoredLayer> storeQuantised(const LoadOptions& options, const std::string& out) {
  registerOperators();
  const at::NoGradGuard noGrad;
  auto module = openArchive(options.file, options.allowAllOperators, options.identity);
  try {
    const auto flat = flatten(module, options.blocks, at::kCPU, options.allowAllOperators);
    auto stored = storeLinears(module, *flat.graph, flat.sites, tokenInputs(options.inputs), *options.quantise);
    module.save(out);
    return stored;
  } catch (const c10::Error& error) {
    throw Error("MODEL_UNREADABLE", options.file + " can not be stored quantised: " + error.what_without_backtrace());
  }
}

at::Tensor Model::adapt(const at::Tensor& tensor, int64_t input) const {
  return toDevice(tensor, options_.device).to(options_.inputs[input].dtype.value_or(options_.dtype));
}

at::Tensor Model::forward(const Values& inputs, const HookSet& hooks, const std::vector<int64_t>& bypassed) {
  const auto deadline = firstEvaluation();
  const auto whole = chain({hooks.sites(), bypassed, {}}, {}, inputs);
  auto prediction = predictionIn(runChain(*whole, inputs, {}, {hooks}).at(0));
  evaluated();
  return prediction;
}

std::optional<LoopDeadline> Model::firstEvaluation() const {
  if (evaluated_) return std::nullopt;
  return std::optional<LoopDeadline>(std::in_place, std::chrono::duration<double>(options_.firstEvaluationLimit));
}

std::shared_ptr<const Chain> Model::chain(const TapSelection& taps, const std::vector<int64_t>& cuts,
                                          const Values& example) {
  const std::pair key{taps, cuts};
  if (const auto* known = chains_.find(key)) return *known;
  if (!fusionsChecked_) checkFusions(example);
  auto chain = std::make_shared<Chain>(cutGraph(selectTaps(flat_, taps, fusionsChecked_ ? fusions_ : Fusions()), cuts));
  std::vector<bool> batched;
  for (const auto& input : options_.inputs) batched.push_back(input.batched);
  learnBatchRules(*chain, example, batched);
  // Until an input has been there that fusions could be compared on, each is computed plainly.
  if (!fusionsChecked_) return chain;
  return chains_.put(key, std::move(chain));
}

void Model::checkFusions(const Values& example) {
  auto choice = chooseFusions(flat_, fusions_, example, options_.dtype, quantised_.has_value());
  auto counts = countFusions(*selectTaps(flat_, {}, choice.fusions));
  const std::lock_guard lock(fusionCountsMutex_);
  fusionCounts_ = std::move(counts);
  fusionFinding_ = std::move(choice.finding);
  if (!choice.isFinal) return;
  fusions_ = choice.fusions;
  fusionsChecked_ = true;
  evaluationGraphs_.clear();  // of plain programs
}

std::map<std::string, int64_t> Model::fusionCounts() const {
  const std::lock_guard lock(fusionCountsMutex_);
  return fusionCounts_;
}

void Model::forget() {
  evaluationGraphs_.clear();
  if (offload_) offload_->clear();
  emptyCache(options_.device);
}

}  // namespace dg
