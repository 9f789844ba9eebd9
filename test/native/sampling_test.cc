// Sampling on the toy: sharing a prefix changes nothing, batches change nothing, hooks leave nothing behind.
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>

#include <limits>

#include "native/core/sampling/sampler.h"
#include "test/native/testing.h"
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

// The toy, a guided plan, and the latents it arrives at.
struct Toy {
  ~Toy() { std::filesystem::remove(file); }

  std::string file = test::temporaryFile("sampling.pt");
  std::unique_ptr<Model> model = test::loadToy(file);
  Plan plan = guidedPlan();
  at::Tensor latents = run(*model, plan);

  // The plan's second image alone.
  Plan second() const {
    auto alone = plan;
    alone.latents = plan.latents.narrow(0, 1, 1);
    alone.conditionings[0][0] = plan.conditionings[0][0].narrow(0, 1, 1);
    return alone;
  }
};

int64_t evaluations(Model& model, const Plan& plan) {
  const std::atomic<bool> cancelled{false};
  return sample(model, plan, nullptr, cancelled).evaluations;
}

}  // namespace

TEST_CASE("sharing what comes before the first edit changes nothing") {
  const Toy toy;
  PartialForward report;
  REQUIRE(run(*toy.model, toy.plan, &report).equal(toy.latents));
  REQUIRE(report.shared);
  REQUIRE(report.reason.empty());
  REQUIRE(report.cuts == (std::vector<std::string>{"blocks.second", "blocks.third"}));
  auto plan = toy.plan;
  plan.partialForward = false;
  const auto whole = run(*toy.model, plan, &report);
  REQUIRE(!report.shared);
  REQUIRE(at::allclose(toy.latents, whole, 1e-5, 1e-6));
  REQUIRE(run(*toy.model, plan).equal(whole));
}

TEST_CASE("an image does not depend on the others of a call") {
  const Toy toy;
  REQUIRE(run(*toy.model, toy.second())[0].equal(toy.latents[1]));
  auto plan = toy.plan;
  plan.batchSize = 2;
  REQUIRE(at::allclose(run(*toy.model, plan), toy.latents, 1e-5, 1e-6));
}

TEST_CASE("a branch that is reused is not evaluated") {
  const Toy toy;
  auto plan = toy.plan;
  plan.branches[2].reference = 0;
  for (size_t i = 1; i + 1 < plan.steps.size(); ++i) plan.steps[i].reuse = {0, 0, 1, 0, 0};
  REQUIRE(evaluations(*toy.model, plan) < evaluations(*toy.model, toy.plan));
}

TEST_CASE("adaptive reuse") {
  const Toy toy;
  auto plan = toy.plan;
  plan.branches[4].reference = 1;
  const auto all = evaluations(*toy.model, toy.plan);
  plan.adaptiveReuse = {{4, "blocks.first", 1e9}};    // a threshold that nothing reaches
  REQUIRE(evaluations(*toy.model, plan) == all - 2);  // the first two steps measure, the last is kept
  plan.adaptiveReuse[0].threshold = 0;
  REQUIRE(evaluations(*toy.model, plan) == all);
}

TEST_CASE("every step of every group is reported, with its preview") {
  const Toy toy;
  auto plan = toy.plan;
  plan.preview = true;
  int64_t steps = 0;
  const std::atomic<bool> cancelled{false};
  const auto onStep = [&](const Progress& progress) {
    ++steps;
    REQUIRE(progress.preview.defined());
    REQUIRE(progress.preview.size(0) == 1);
    REQUIRE(progress.steps == 4);
  };
  sample(*toy.model, plan, onStep, cancelled);
  REQUIRE(steps == 8);
}

TEST_CASE("an abort leaves nothing behind") {
  const Toy toy;
  std::atomic<bool> cancelled{false};
  REQUIRE_CODE("ABORT_ERR", sample(*toy.model, toy.plan, [&](const Progress&) { cancelled = true; }, cancelled));
  REQUIRE(run(*toy.model, toy.plan).equal(toy.latents));
}

TEST_CASE("an edit that fails inside the model leaves no hook behind") {
  const Toy toy;
  auto bad = toy.plan;
  bad.edits[0].channels = std::vector<int64_t>{8};
  REQUIRE_CODE("CHANNEL_OUT_OF_RANGE", run(*toy.model, bad));
  REQUIRE(run(*toy.model, toy.plan).equal(toy.latents));
}

TEST_CASE("latents that are no longer finite") {
  const Toy toy;
  auto plan = toy.plan;
  for (auto& step : plan.steps) step.sample = std::numeric_limits<double>::infinity();
  REQUIRE_CODE("MODEL_FAILED", run(*toy.model, plan));
}

TEST_CASE("latents that are not finite do not settle whether a prefix is shared") {
  const Toy toy;
  const auto fresh = test::loadToy(toy.file);
  auto plan = toy.plan;
  plan.latents = at::full_like(plan.latents, std::numeric_limits<float>::quiet_NaN());
  REQUIRE_CODE("MODEL_FAILED", run(*fresh, plan));
  REQUIRE(fresh->cutFindings.size() == 0);
  PartialForward report;
  REQUIRE(run(*fresh, toy.plan, &report).equal(toy.latents));
  REQUIRE(report.shared);
}

TEST_CASE("fresh noise is drawn from the image's own generator, after its initial noise") {
  const Toy toy;
  auto noisy = toy.plan;
  noisy.seeds = {11, 12};
  for (auto& step : noisy.steps) step.noise = 0.5;
  const auto both = run(*toy.model, noisy);
  REQUIRE(!both.equal(toy.latents));
  auto alone = toy.second();
  alone.seeds = {12};
  for (auto& step : alone.steps) step.noise = 0.5;
  REQUIRE(run(*toy.model, alone)[0].equal(both[1]));
  for (size_t i = 0; i + 1 < alone.steps.size(); ++i) alone.steps[i].noise = 0;
  auto generator = at::detail::createCPUGenerator(12);
  const auto sizes = alone.latents.sizes();
  at::randn(sizes, generator, at::TensorOptions(at::kFloat));
  const auto epsilon = at::randn(sizes, generator, at::TensorOptions(at::kFloat));
  REQUIRE(at::allclose(run(*toy.model, alone), run(*toy.model, toy.second()) + 0.5 * epsilon, 1e-5, 1e-6));
}

TEST_CASE("bfloat16 stays near float32, though the weights alone are converted") {
  const Toy toy;
  const auto narrow = test::loadToy(toy.file, at::kBFloat16);
  REQUIRE((run(*narrow, toy.plan) - toy.latents).abs().max().item<double>() < 0.3);
}

TEST_CASE("a conditioning without rows, with other rows, or missing is refused before anything is evaluated") {
  Toy toy;
  for (const auto& given : {at::ones({}, at::kLong), at::tensor({1, 2, 3}, at::kLong), at::empty({0}, at::kLong)}) {
    toy.plan.conditionings[0] = {given};
    REQUIRE_CODE("BAD_TENSOR", run(*toy.model, toy.plan));
  }
  toy.plan.conditionings[0] = {};
  REQUIRE_CODE("BAD_TENSOR", run(*toy.model, toy.plan));
}
