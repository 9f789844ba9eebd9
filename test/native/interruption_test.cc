// A run ends within one operator of its flag, in its first evaluation too, and a loop without an end can be left;
// afterwards the model is as good as new.
#include "native/core/graph/interruption.h"

#include <ATen/record_function.h>

#include <thread>

#include "native/core/cancellation.h"
#include "native/core/model/bounded_map.h"
#include "native/core/model/component.h"
#include "native/core/sampling/sampler.h"
#include "test/native/testing.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

Plan planFor(int64_t label) {
  Edit edit;
  edit.channels = std::vector<int64_t>{0};
  return test::toyPlan(label, 3, edit);
}

// For class 3 it never ends.
std::unique_ptr<Model> loadEndless(const std::string& file, double limit) {
  torch::jit::Module block("__torch__.EndlessBlock"), container("__torch__.EndlessBlocks"), root("__torch__.Endless");
  block.define(R"JIT(
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        while bool(y[0] == 3):
            x = x + 1
        return x * 0.5
  )JIT");
  container.register_module("second", block);
  root.register_module("blocks", container);
  root.define(R"JIT(
    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return self.blocks.second.forward(x, y)
  )JIT");
  root.save(file);
  LoadOptions options;
  options.file = file;
  options.firstEvaluationLimit = limit;
  options.inputs = {
      {"x", "latent", std::nullopt, true}, {"t", "timestep", std::nullopt, true}, {"y", "class", at::kLong, true}};
  options.blocks = {{"blocks.*", {"image"}}};
  return Model::load(options);
}

Plan withoutEdits(int64_t label) {
  auto plan = planFor(label);
  plan.edits.clear();
  plan.branches = {{0, {}}, {0, {}}};
  return plan;
}

// Sets a flag when the n-th operator with this name begins.
struct SetAt {
  SetAt(std::string name, int64_t n, std::atomic<bool>& flag) {
    wanted = std::move(name);
    left = n;
    target = &flag;
    handle = at::addGlobalCallback(at::RecordFunctionCallback(note).scopes({at::RecordScope::FUNCTION}));
  }
  ~SetAt() { at::removeCallback(handle); }

  static std::unique_ptr<at::ObserverContext> note(const at::RecordFunction& function) {
    if (function.name() != wanted) return nullptr;
    ++seen;
    if (--left == 0) *target = true;
    return nullptr;
  }

  at::CallbackHandle handle;
  static inline std::string wanted;
  static inline int64_t left = 0, seen = 0;
  static inline std::atomic<bool>* target = nullptr;
};

}  // namespace

TEST_CASE("an abort takes effect within one operator of the first evaluation") {
  const auto file = test::temporaryFile("interruption.pt");
  const auto fresh = test::loadToy(file, at::kBFloat16);
  const std::atomic<bool> never{false};
  const auto expected = sample(*fresh, planFor(1), nullptr, never);
  // Anywhere in the comparisons of fusions and cuts, and in what is learnt for the cut.
  for (int64_t n = 1; n < 60; n += 7) {
    CAPTURE(n);
    const auto model = test::loadToy(file, at::kBFloat16);
    std::atomic<bool> cancelled{false};
    SetAt::seen = 0;
    {
      const SetAt set("aten::matmul", n, cancelled);
      REQUIRE_CODE("ABORT_ERR", sample(*model, planFor(1), nullptr, cancelled));
    }
    REQUIRE(SetAt::seen == n);  // no further product
    // Nothing is left half: chains, findings and pictures are those of a model that was never aborted.
    const auto found = sample(*model, planFor(1), nullptr, never);
    REQUIRE(found.latents.equal(expected.latents));
    REQUIRE(found.execution.fused == expected.execution.fused);
    REQUIRE(found.execution.notFused == expected.execution.notFused);
    REQUIRE(found.execution.partialForward.cuts == expected.execution.partialForward.cuts);
  }
  std::filesystem::remove(file);
}

TEST_CASE("a loop without an end is left when the run is aborted") {
  const auto file = test::temporaryFile("endless.pt");
  const auto model = loadEndless(file, 600);
  std::atomic<bool> cancelled{false};
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    cancelled = true;
  });
  REQUIRE_CODE("ABORT_ERR", sample(*model, withoutEdits(3), nullptr, cancelled));
  other.join();
  cancelled = false;
  REQUIRE(sample(*model, withoutEdits(1), nullptr, cancelled).latents.isfinite().all().item<bool>());
  std::filesystem::remove(file);
}

TEST_CASE("a loop without an end ends the first evaluation at its limit") {
  const auto file = test::temporaryFile("limited.pt");
  const auto model = loadEndless(file, 0.05);
  const std::atomic<bool> never{false};
  std::string reason;
  try {
    sample(*model, withoutEdits(3), nullptr, never);
  } catch (const Error& error) {
    REQUIRE(error.code == "MODEL_FAILED");
    reason = error.what();
  }
  REQUIRE(reason.find("did not end in its first evaluation") != std::string::npos);
  REQUIRE(sample(*model, withoutEdits(1), nullptr, never).latents.isfinite().all().item<bool>());
  std::filesystem::remove(file);
}

TEST_CASE("a component's loop too") {
  torch::jit::Module module("__torch__.EndlessComponent");
  module.define(R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        while bool(x[0] < 3):
            x = x * 1
        return x
  )JIT");
  Component::Options options;
  options.file = test::temporaryFile("endless-component.pt");
  options.firstEvaluationLimit = 0.05;
  module.save(options.file);
  const auto component = Component::load(options);
  REQUIRE_CODE("MODEL_FAILED", component->run({at::zeros({1})}));
  const std::atomic<bool> cancelled{true};
  const CancelScope scope(cancelled);
  REQUIRE_CODE("ABORT_ERR", component->run({at::full({1}, 2.0)}));
  std::filesystem::remove(options.file);
}

TEST_CASE("a bounded map keeps what was used last") {
  BoundedMap<int, std::string> map(2);
  map.put(1, "one");
  map.put(2, "two");
  REQUIRE(*map.find(1) == "one");
  map.put(3, "three");
  REQUIRE(map.size() == 2);
  REQUIRE(map.find(2) == nullptr);
  REQUIRE(*map.find(1) == "one");
  map.put(1, "uno");
  REQUIRE(*map.find(1) == "uno");
  REQUIRE(map.size() == 2);
}

TEST_CASE("programs of many plans do not pile up, and an old plan gives what it gave") {
  const auto file = test::temporaryFile("chains.pt");
  const auto model = test::loadToy(file);
  const std::atomic<bool> never{false};
  const auto expected = sample(*model, planFor(1), nullptr, never).latents;
  const auto sites = static_cast<int64_t>(model->flat().sites.size());
  // Each set of sites is another program.
  const Values example{gaussian(1, {1, 8, 2, 2}), at::zeros({1}), at::tensor({1}, at::kLong)};
  std::vector<std::weak_ptr<const Chain>> chains;
  for (int64_t first = 0; first < sites; ++first) {
    for (int64_t second = first + 1; second < sites; ++second) {
      chains.push_back(model->chain({{first, second}, {}, {}}, {}, example));
    }
  }
  size_t alive = 0;
  for (const auto& chain : chains) alive += chain.expired() ? 0 : 1;
  REQUIRE(chains.size() > Model::kChainsKept);
  REQUIRE(alive == Model::kChainsKept);
  REQUIRE(sample(*model, planFor(1), nullptr, never).latents.equal(expected));
  std::filesystem::remove(file);
}
