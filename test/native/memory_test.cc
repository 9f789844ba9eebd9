// Memory that runs out is an error with a code of its own, after which the model works as before.
#include "native/core/device/memory.h"

#include <ATen/Functions.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <new>
#include <stdexcept>

#include "native/core/sampling/sampler.h"
#include "test/native/testing.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

// For class 3 it asks for a thousand terabytes.
std::unique_ptr<Model> loadGreedy(const std::string& file) {
  torch::jit::Module block("__torch__.GreedyBlock"), container("__torch__.GreedyBlocks"), root("__torch__.Greedy");
  block.define(R"JIT(
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        if bool(y[0] == 3):
            x = x + torch.zeros([250000000000000]).sum()
        return x * 0.5
  )JIT");
  container.register_module("first", block);
  root.register_module("blocks", container);
  root.define(R"JIT(
    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return self.blocks.first.forward(x, y)
  )JIT");
  root.save(file);
  LoadOptions options;
  options.file = file;
  options.inputs = {
      {"x", "latent", std::nullopt, true}, {"t", "timestep", std::nullopt, true}, {"y", "class", at::kLong, true}};
  options.blocks = {{"blocks.*", {"image"}}};
  return Model::load(options);
}

Plan planFor(int64_t label) {
  Plan plan;
  plan.latents = gaussian(1, {1, 8, 2, 2});
  plan.conditionings = {{at::tensor({label}, at::kLong)}};
  plan.branches = {{0, {}}};
  Step step;
  step.weights = {1};
  step.outputs = {-0.5};
  plan.steps = {step};
  return plan;
}

}  // namespace

TEST_CASE("a model works on after memory ran out") {
  const std::atomic<bool> cancelled{false};
  const auto model = loadGreedy(test::temporaryFile("memory.pt"));
  const auto before = sample(*model, planFor(1), nullptr, cancelled).latents;
  REQUIRE_CODE("OUT_OF_MEMORY", sample(*model, planFor(3), nullptr, cancelled));
  REQUIRE(sample(*model, planFor(1), nullptr, cancelled).latents.equal(before));
}

TEST_CASE("errors that mean memory") {
  REQUIRE(isOutOfMemory(std::bad_alloc()));
  REQUIRE(isOutOfMemory(Error("OUT_OF_MEMORY", "")));
  REQUIRE(!isOutOfMemory(Error("MODEL_FAILED", "CUDA out of memory is only mentioned")));
  REQUIRE(!isOutOfMemory(std::runtime_error("shapes do not match")));
  REQUIRE(!memoryStatistics(at::kCPU));
  emptyCache(at::kCPU);  // nothing to do, and no error
  REQUIRE(
      isOutOfMemory(std::runtime_error("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")));
#ifdef DETAIL_GUIDANCE_CUDA_HEADERS
  // libtorch_cuda is there, whether or not there is a device: a linker that dropped it would leave nothing here.
  REQUIRE(c10::getDeviceAllocator(at::kCUDA) != nullptr);
#endif
}
