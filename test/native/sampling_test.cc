// Sampling on the toy: sharing a prefix changes nothing, batches change nothing, hooks leave nothing behind.
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>

#include <limits>

#include "native/core/sampling/sampler.h"
#include "test/native/check.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

Plan guidedPlan() {
  Plan plan;
  plan.latents = at::cat({gaussian(1, {1, 8, 2, 2}), gaussian(2, {1, 8, 2, 2})});
  plan.conditionings = {{at::tensor({1, 2}, at::kLong)}, {at::tensor({3}, at::kLong)}};
  Edit disrupt;
  disrupt.path = "blocks.second";
  disrupt.channels = std::vector<int64_t>{0, 5};
  Edit later;
  later.path = "blocks.third";
  later.operation = Operation::skip;
  plan.edits = {disrupt, later};
  plan.branches = {{0, {}}, {1, {}}, {0, {0}}, {0, {0, 1}}, {1, {1}}};
  for (int i = 0; i < 4; ++i) {
    Step step;
    step.timestep = 1.0 - 0.25 * i;
    step.weights = {3, -1, i < 2 ? -0.5 : 0.0, -0.25, -0.25};
    step.sample = 1;
    step.outputs = {-0.2, i > 0 ? 0.05 : 0.0};
    step.previewSample = 1;
    step.previewOutput = -step.timestep;
    plan.steps.push_back(step);
  }
  return plan;
}

at::Tensor run(Model& model, const Plan& plan, PartialForward* sharing = nullptr) {
  const std::atomic<bool> cancelled{false};
  auto result = sample(model, plan, nullptr, cancelled);
  if (sharing != nullptr) *sharing = result.execution.partialForward;
  return result.latents;
}

}  // namespace

int main() {
  const auto file = test::temporaryFile("sampling.pt");
  const auto model = test::loadToy(file);
  auto plan = guidedPlan();

  PartialForward sharing;
  const auto shared = run(*model, plan, &sharing);
  REQUIRE(sharing.shared && sharing.reason.empty());
  REQUIRE(sharing.cuts == (std::vector<std::string>{"blocks.second", "blocks.third"}));
  plan.partialForward = false;
  const auto whole = run(*model, plan, &sharing);
  REQUIRE(!sharing.shared);
  REQUIRE(at::allclose(shared, whole, 1e-5, 1e-6));
  REQUIRE(run(*model, plan).equal(whole));

  // Each image on its own: the same bytes whatever else is in the call.
  plan.partialForward = true;
  auto second = plan;
  second.latents = plan.latents.narrow(0, 1, 1);
  second.conditionings[0][0] = plan.conditionings[0][0].narrow(0, 1, 1);
  REQUIRE(run(*model, second)[0].equal(shared[1]));
  plan.batchSize = 2;
  REQUIRE(at::allclose(run(*model, plan), shared, 1e-5, 1e-6));
  plan.batchSize = 1;

  // A branch reused in every step but the first and last.
  auto reused = plan;
  for (auto& branch : reused.branches) branch.reference = &branch == &reused.branches[2] ? 0 : -1;
  for (size_t i = 1; i + 1 < reused.steps.size(); ++i) reused.steps[i].reuse = {0, 0, 1, 0, 0};
  std::atomic<bool> cancelled{false};
  REQUIRE(sample(*model, reused, nullptr, cancelled).evaluations <
          sample(*model, plan, nullptr, cancelled).evaluations);

  // The same decided while sampling: a threshold that nothing reaches reuses what may be reused, 0 reuses nothing.
  auto adaptive = plan;
  for (auto& branch : adaptive.branches) branch.reference = &branch == &adaptive.branches[4] ? 1 : -1;
  adaptive.adaptiveReuse = {{4, "blocks.first", 1e9}};
  const auto all = sample(*model, plan, nullptr, cancelled).evaluations;
  REQUIRE(sample(*model, adaptive, nullptr, cancelled).evaluations ==
          all - 2);  // the first two steps measure, the last is kept
  adaptive.adaptiveReuse[0].threshold = 0;
  REQUIRE(sample(*model, adaptive, nullptr, cancelled).evaluations == all);

  int64_t steps = 0;
  plan.preview = true;
  sample(
      *model, plan,
      [&](const Progress& progress) {
        ++steps;
        REQUIRE(progress.preview.defined() && progress.preview.size(0) == 1);
        REQUIRE(progress.steps == 4);
      },
      cancelled);
  REQUIRE(steps == 8);

  // Abort in the middle, then run again: nothing is left behind.
  REQUIRE_THROWS("ABORT_ERR", sample(*model, plan, [&](const Progress&) { cancelled = true; }, cancelled));
  REQUIRE(run(*model, plan).equal(shared));

  // An edit that fails inside the model leaves no hook behind either.
  auto bad = plan;
  bad.edits[0].channels = std::vector<int64_t>{8};
  REQUIRE_THROWS("CHANNEL_OUT_OF_RANGE", run(*model, bad));
  REQUIRE(run(*model, plan).equal(shared));

  auto blown = plan;
  for (auto& step : blown.steps) step.sample = std::numeric_limits<double>::infinity();
  REQUIRE_THROWS("MODEL_FAILED", run(*model, blown));

  // Fresh noise: the draws of an image's own generator after its initial noise, whatever else is in the call.
  auto noisy = plan;
  noisy.seeds = {11, 12};
  for (auto& step : noisy.steps) step.noise = 0.5;
  const auto both = run(*model, noisy);
  REQUIRE(!both.equal(shared));
  auto alone = second;
  alone.seeds = {12};
  for (auto& step : alone.steps) step.noise = 0.5;
  REQUIRE(run(*model, alone)[0].equal(both[1]));
  auto last = alone;
  for (size_t i = 0; i + 1 < last.steps.size(); ++i) last.steps[i].noise = 0;
  auto generator = at::detail::createCPUGenerator(12);
  const auto sizes = alone.latents.sizes();
  at::randn(sizes, generator, at::TensorOptions(at::kFloat));
  const auto epsilon = at::randn(sizes, generator, at::TensorOptions(at::kFloat));
  REQUIRE(at::allclose(run(*model, last), run(*model, second) + 0.5 * epsilon, 1e-5, 1e-6));

  // bfloat16 stays near float32, though the weights alone are converted.
  const auto half = test::loadToy(file, at::kBFloat16);
  REQUIRE((run(*half, plan) - shared).abs().max().item<double>() < 0.3);
  std::filesystem::remove(file);
  return 0;
}
