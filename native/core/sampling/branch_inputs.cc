#include "native/core/sampling/branch_inputs.h"

#include <ATen/Functions.h>

#include <string>

#include "native/core/error.h"

namespace dg {

void BranchInputs::requireFitting() const {
  const auto& inputs = model_.inputs();
  const auto images = plan_.latents.size(0);
  for (const auto& conditioning : plan_.conditionings) {
    if (conditioning.size() + 2 != inputs.size()) {
      throw Error("BAD_TENSOR", "A conditioning of the plan has " + std::to_string(conditioning.size()) +
                                    " tensors: the model takes " + std::to_string(inputs.size() - 2) +
                                    " beside latents and timestep.");
    }
    size_t next = 0;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      if (index == model_.latentInput() || index == model_.timestepInput()) continue;
      const auto& tensor = conditioning[next++];
      const bool hasRows = tensor.dim() > 0 && (tensor.size(0) == 1 || tensor.size(0) == images);
      if (!inputs[i].batched || hasRows) continue;
      throw Error("BAD_TENSOR", "The conditioning '" + inputs[i].name + "' has " +
                                    (tensor.dim() > 0 ? std::to_string(tensor.size(0)) + " rows" : "no rows") +
                                    ": expected 1, or one for each of " + std::to_string(images) + " images.");
    }
  }
}

Values BranchInputs::fixed(const std::vector<int64_t>& branches) const {
  Values values;
  const auto& inputs = model_.inputs();
  size_t conditioningInput = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    if (index == model_.latentInput() || index == model_.timestepInput()) {
      values.emplace_back();
      continue;
    }
    std::vector<at::Tensor> parts;
    for (const auto branch : branches) {
      const auto& tensor = plan_.conditionings[plan_.branches[branch].conditioning][conditioningInput];
      if (!inputs[i].batched) {
        parts.assign(1, tensor);
        break;
      }
      auto sizes = tensor.sizes().vec();
      sizes[0] = images_;
      parts.push_back(tensor.size(0) == 1 ? tensor.expand(sizes) : tensor.narrow(0, firstImage_, images_));
    }
    values.emplace_back(model_.adapt(parts.size() == 1 ? parts[0].contiguous() : at::cat(parts), index));
    ++conditioningInput;
  }
  return values;
}

Values BranchInputs::complete(const Values& fixed, int64_t branches, const at::Tensor& latents, double timestep) const {
  auto values = fixed;
  const auto adapted = model_.adapt(latents, model_.latentInput());
  values[model_.latentInput()] = branches == 1 ? adapted : at::cat(std::vector<at::Tensor>(branches, adapted));
  // Made on the device: nothing is copied there.
  const auto time = at::full({branches * images_}, timestep, at::TensorOptions(at::kFloat).device(model_.device()));
  values[model_.timestepInput()] = model_.adapt(time, model_.timestepInput());
  return values;
}

}  // namespace dg
