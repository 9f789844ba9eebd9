#include "native/core/model/component.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include "native/core/archive/open.h"
#include "native/core/device/device.h"
#include "native/core/error.h"
#include "native/core/graph/convolutions.h"
#include "native/core/graph/flatten.h"
#include "native/core/graph/interruption.h"
#include "native/core/graph/precision.h"
#include "native/core/model/operator_library.h"
#include "native/core/model/preparation.h"

namespace dg {
namespace {

void collect(const c10::IValue& value, std::vector<at::Tensor>& tensors) {
  if (value.isTensor()) {
    tensors.push_back(value.toTensor().to(at::kCPU).contiguous());
  } else if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) collect(element, tensors);
  } else if (value.isList()) {
    for (const auto& element : value.toListRef()) collect(element, tensors);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) collect(entry.value(), tensors);
  } else if (!value.isNone()) {
    throw Error("MODEL_FAILED", "The component returned " + value.tagKind() + ": expected tensors.");
  }
}

}  // namespace

std::unique_ptr<Component> Component::load(const Options& options) {
  registerOperators();
  requireDevice(options.device);
  useOwnStream(options.device);
  const at::NoGradGuard noGrad;
  auto component = std::make_unique<Component>();
  component->options_ = options;
  auto module = openArchive(options.file, options.allowAllOperators, options.identity);
  try {
    component->size_ = moveWeights(module, options.device, options.dtype);
    auto flat = flattenPlain(module, options.device, options.allowAllOperators);
    orderConvolutions(*flat.graph);
    if (options.dtype != at::kFloat || component->size_.isCast) matchPrecision(flat.graph);
    component->code_ = flat.code;
    component->arity_ = flat.graph->inputs().size();
    Fusions fusions;
    fusions.modulation = fusions.residual = true;
    component->program_ = std::make_unique<Program>(selectTaps(flat, {}, fusions));
  } catch (const c10::Error& error) {
    refusePreparation(options.file, options.device, error);
  }
  return component;
}

std::vector<at::Tensor> Component::run(const std::vector<at::Tensor>& inputs) const {
  const c10::InferenceMode inference;
  if (inputs.size() != arity_) {
    throw Error("BAD_TENSOR", "The component takes " + std::to_string(arity_) + " inputs, found " +
                                  std::to_string(inputs.size()) + ".");
  }
  Values values;
  for (const auto& input : inputs) {
    const auto dtype = input.is_floating_point() ? options_.dtype : input.scalar_type();
    values.emplace_back(input.to(at::TensorOptions(options_.device).dtype(dtype)));
  }
  std::optional<LoopDeadline> deadline;
  if (!evaluated_) deadline.emplace(std::chrono::duration<double>(options_.firstEvaluationLimit));
  std::vector<at::Tensor> tensors;
  for (const auto& value : program_->run(std::move(values))) collect(value, tensors);
  evaluated_ = true;
  return tensors;
}

}  // namespace dg
