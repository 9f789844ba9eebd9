// No step makes the thread wait for the device: of the operators that have to know a value before they can go on (a
// copy to the host, a number out of a tensor, a shape that depends on values) none runs between two steps, whatever the
// edits, the sampler and the guidance. On the CPU nothing waits; which operators run is the same on every device.
#include <ATen/record_function.h>

#include <set>
#include <string>

#include "native/core/sampling/sampler.h"
#include "test/native/testing.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

const std::set<std::string> kWaiting{
    "aten::item",          "aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal",    "aten::nonzero",
    "aten::nonzero_numpy", "aten::masked_select",       "aten::allclose",   "aten::_unique2", "aten::unique_dim",
    "aten::bincount",      "aten::_assert_async",       "aten::_to_cpu",    "aten::cpu"};

bool watching = false;
std::set<std::string> seen;

std::unique_ptr<at::ObserverContext> note(const at::RecordFunction& function) {
  if (watching && kWaiting.count(function.name()) != 0) seen.insert(function.name());
  return nullptr;
}

// What waits from the third step on; the first ones arrange branches and compare the cut model with the whole one.
std::set<std::string> waitsOf(Model& model, const Plan& plan) {
  const std::atomic<bool> cancelled{false};
  seen.clear();
  const auto steps = static_cast<int64_t>(plan.steps.size());
  // In the last call the watch ends: what comes after it is the result's way to the host.
  sample(
      model, plan, [&](const Progress& progress) { watching = progress.step >= 2 && progress.step < steps; },
      cancelled);
  watching = false;
  return seen;
}

Plan planOf(std::vector<Edit> edits) {
  Plan plan;
  // Two images: of one, CPU kernels reduce to a number.
  plan.latents = gaussian(1, {2, 8, 2, 2});
  plan.seeds = {1, 2};
  plan.batchSize = 2;
  plan.conditionings = {{at::tensor({1}, at::kLong)}, {at::tensor({3}, at::kLong)}};
  plan.branches = {{0, {}}, {1, {}}};
  for (size_t i = 0; i < edits.size(); ++i) plan.branches.push_back({0, {static_cast<int64_t>(i)}});
  plan.edits = std::move(edits);
  for (int i = 0; i < 6; ++i) {
    Step step;
    step.timestep = 1.0 - 0.15 * i;
    step.weights.assign(plan.branches.size(), 0.5);
    step.outputs = {-0.1};
    if (i > 0) step.outputs.push_back(0.02);
    plan.steps.push_back(step);
  }
  return plan;
}

Edit editOf(Operation operation) {
  Edit edit;
  edit.path = "blocks.second";
  edit.operation = operation;
  edit.channels = std::vector<int64_t>{0, 5};
  return edit;
}

Edit retained() {
  auto retain = editOf(Operation::retain);
  retain.retention = {0.5, 0.25, 0, 0.1, 0.2, 0.3};
  retain.tokens = std::vector<int64_t>{1, 2};
  return retain;
}

Plan planOfEveryEdit() {
  auto affine = editOf(Operation::affine);
  affine.scale = {2, 3};
  affine.shift = {0, 1};
  auto transplant = editOf(Operation::transplant);
  transplant.source = at::ones({1, 4, 8});
  auto match = editOf(Operation::match);
  match.reference = {1, 2};
  auto blur = editOf(Operation::blur);
  blur.sigma = 1;
  blur.grid = std::pair<int64_t, int64_t>{2, 2};
  return planOf({retained(), affine, transplant, match, blur, editOf(Operation::mean), editOf(Operation::skip),
                 editOf(Operation::shuffle)});
}

struct Watch {
  Watch() : handle(at::addGlobalCallback(at::RecordFunctionCallback(note).scopes({at::RecordScope::FUNCTION}))) {}
  ~Watch() {
    at::removeCallback(handle);
    std::filesystem::remove(file);
  }

  at::CallbackHandle handle;
  std::string file = test::temporaryFile("waits.pt");
  std::unique_ptr<Model> model = test::loadToy(file);
};

}  // namespace

TEST_CASE("the watch sees a number out of a tensor") {
  const Watch watch;
  seen.clear();
  watching = true;
  at::ones({1}).item<float>();
  watching = false;
  REQUIRE(seen.count("aten::item") == 1);
}

TEST_CASE("no edit waits") {
  const Watch watch;
  REQUIRE(waitsOf(*watch.model, planOfEveryEdit()) == std::set<std::string>{});
}

TEST_CASE("neither do guidance that is not linear, fresh noise and inpainting") {
  const Watch watch;
  auto plan = planOfEveryEdit();
  for (auto& step : plan.steps) {
    Adjustment apg;
    apg.kind = Adjustment::Kind::apg;
    apg.branch = 1;
    apg.eta = 0.5;
    apg.normThreshold = 2;
    apg.momentum = -0.5;
    Adjustment rescale;
    rescale.kind = Adjustment::Kind::rescale;
    rescale.factor = 0.7;
    step.adjustments = {apg, rescale};
    step.noise = 0.1;
    step.keepImage = 0.5;
    step.keepNoise = 0.5;
  }
  plan.inpainting = {at::ones({1, 1, 2, 2}), at::ones({2, 8, 2, 2}), at::ones({2, 8, 2, 2})};
  REQUIRE(waitsOf(*watch.model, plan) == std::set<std::string>{});
}

TEST_CASE("the measure of adaptive reuse is a number, and does") {
  const Watch watch;
  AdaptiveReuse adaptive;
  adaptive.branch = 2;
  adaptive.path = "blocks.first";
  adaptive.threshold = 0.1;
  auto measured = planOf({retained()});
  measured.branches[2].reference = 0;
  measured.adaptiveReuse = {adaptive};
  REQUIRE(!waitsOf(*watch.model, measured).empty());
}
