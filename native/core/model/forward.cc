#include "native/core/model/forward.h"

#include <c10/core/InferenceMode.h>

#include <deque>
#include <string>
#include <unordered_map>

#include "native/core/error.h"

namespace dg {
namespace {

Values adapted(const Model& model, const std::vector<at::Tensor>& inputs) {
  const auto count = model.inputs().size();
  if (inputs.size() != count) {
    throw Error("BAD_TENSOR",
                "The model takes " + std::to_string(count) + " inputs, found " + std::to_string(inputs.size()) + ".");
  }
  Values values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    values.emplace_back(model.adapt(inputs[i], static_cast<int64_t>(i)));
  }
  return values;
}

int64_t rowsOf(const Model& model, const std::vector<at::Tensor>& inputs) {
  const auto& latents = inputs[model.latentInput()];
  return latents.dim() > 0 ? latents.size(0) : 1;
}

}  // namespace

Forward forwardWithHooks(Model& model, const std::vector<at::Tensor>& inputs, const std::vector<Hook>& hooks) {
  const c10::InferenceMode inference;
  const auto values = adapted(model, inputs);
  const auto rows = rowsOf(model, inputs);
  HookSet set;
  std::deque<PreparedEdit> edits;  // stay where they are: the hook set points at them
  std::vector<int64_t> bypassed;
  std::unordered_map<int64_t, at::Tensor> hiddenStates;
  for (const auto& hook : hooks) {
    for (const auto site : hook.sites) {
      auto& at = set.at(site);
      if (!hook.capture) continue;
      at.observe = [&hiddenStates, site](const at::Tensor& hidden) {
        hiddenStates[site] = hidden.to(at::kCPU, /*non_blocking=*/false, /*copy=*/true);
      };
    }
    for (const auto& edit : hook.edits) {
      edits.emplace_back(edit, model.device());
      for (const auto site : findSites(model.flat().sites, edit.path, edit.tap, edit.stream)) {
        set.at(site).edits.push_back({&edits.back(), 0, rows});
        if (needsBypass(edit.operation)) bypassed.push_back(site);
      }
    }
  }
  Forward result;
  result.output = model.forward(values, set, bypassed).to(at::kCPU);
  for (const auto& hook : hooks) {
    for (const auto site : hook.sites) {
      // A site in a branch that the program did not take has seen nothing.
      if (hook.capture && hiddenStates.count(site)) result.captures.emplace_back(site, hiddenStates[site]);
    }
  }
  return result;
}

std::vector<std::optional<std::vector<int64_t>>> siteShapes(Model& model, const std::vector<at::Tensor>& inputs) {
  const c10::InferenceMode inference;
  const auto values = adapted(model, inputs);
  std::vector<std::optional<std::vector<int64_t>>> shapes(model.flat().sites.size());
  HookSet hooks;
  for (size_t site = 0; site < shapes.size(); ++site) {
    hooks.at(static_cast<int64_t>(site)).observe = [&shapes, site](const at::Tensor& hidden) {
      shapes[site] = hidden.sizes().vec();
    };
  }
  model.forward(values, hooks, {});
  return shapes;
}

}  // namespace dg
