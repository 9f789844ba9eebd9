#pragma once

#include <ATen/Functions.h>
#include <torch/script.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "native/core/model/model.h"
#include "native/core/sampling/noise.h"
#include "native/core/sampling/plan.h"

namespace dg::test {

// A small transformer-like model, scripted: three residual blocks of one class (so they share one method graph), each
// adding gate(t, y) · tanh(linear(x)); and what it takes to load it.
inline torch::jit::Module toyModule() {
  auto unit = std::make_shared<torch::jit::CompilationUnit>();
  torch::jit::Module root("__torch__.Toy", unit, true);
  torch::jit::Module container("__torch__.Container", unit, true);
  torch::jit::Module first("__torch__.Block", unit, true);
  at::manual_seed(7);
  const auto fill = [](torch::jit::Module& block) {
    block.register_parameter("weight", at::randn({8, 8}) * 0.5, false);
    block.register_parameter("gate", at::randn({8, 8}) * 0.5, false);
  };
  fill(first);
  first.define(R"JIT(
    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return x + torch.matmul(c, self.gate).unsqueeze(1) * torch.tanh(torch.matmul(x, self.weight))
  )JIT");
  container.register_module("first", first);
  for (const char* name : {"second", "third"}) {
    torch::jit::Module block(unit, first.type());
    block.setattr("weight", at::randn({8, 8}) * 0.5);
    block.setattr("gate", at::randn({8, 8}) * 0.5);
    container.register_module(name, block);
  }
  root.register_module("blocks", container);
  root.register_parameter("embedding", at::randn({4, 8}), false);
  root.define(R"JIT(
    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        b = x.size(0)
        h = x.flatten(2).transpose(1, 2)
        c = self.embedding[y] + t.unsqueeze(1)
        h = self.blocks.first.forward(h, c)
        h = self.blocks.second.forward(h, c)
        h = self.blocks.third.forward(h, c)
        return h.transpose(1, 2).reshape([b, 8, 2, 2])
  )JIT");
  return root;
}

// How a module with the toy's inputs and blocks is loaded from a file.
inline LoadOptions toyOptions(const std::string& file) {
  LoadOptions options;
  options.file = file;
  options.inputs = {
      {"x", "latent", std::nullopt, true}, {"t", "timestep", std::nullopt, true}, {"y", "class", at::kLong, true}};
  options.blocks = {{"blocks.*", {"image"}}};
  return options;
}

// The toy, written to a file of the test's own and loaded.
inline std::unique_ptr<Model> loadToy(const std::string& file, at::ScalarType dtype = at::kFloat,
                                      std::optional<std::vector<std::string>> fuse = std::nullopt) {
  toyModule().save(file);
  auto options = toyOptions(file);
  options.dtype = dtype;
  options.fuse = std::move(fuse);
  return Model::load(options);
}

// A conditional and a detail-deficient branch of the toy; `edit` says what is done to the second one at blocks.second.
inline Plan toyPlan(int64_t label, int steps, Edit edit) {
  Plan plan;
  plan.latents = gaussian(1, {1, 8, 2, 2});
  plan.conditionings = {{at::tensor({label}, at::kLong)}};
  edit.path = "blocks.second";
  plan.edits = {std::move(edit)};
  plan.branches = {{0, {}, -1, "conditional"}, {0, {0}, -1, "detail-deficient"}};
  for (int i = 0; i < steps; ++i) {
    Step step;
    step.timestep = 1 - static_cast<double>(i) / steps;
    step.weights = {1.5, -0.5};
    step.outputs = {-0.2};
    plan.steps.push_back(step);
  }
  return plan;
}

inline std::string temporaryFile(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("detail-guidance-" + name)).string();
}

}  // namespace dg::test
