// Values that are not finite are named: the step, the branch, and the first site they appear at.
#include <limits>

#include "native/core/sampling/finite_watch.h"
#include "native/core/sampling/sampler.h"
#include "test/native/testing.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Plan plan() {
  Edit edit;
  edit.operation = Operation::affine;
  edit.scale = {1};
  edit.shift = {0};
  edit.channels = std::vector<int64_t>{2};
  return test::toyPlan(1, 4, edit);
}

std::string failureOf(const Plan& plan, at::ScalarType dtype = at::kFloat) {
  const auto file = test::temporaryFile("finite.pt");
  const auto model = test::loadToy(file, dtype);
  const std::atomic<bool> never{false};
  std::string text;
  try {
    sample(*model, plan, nullptr, never);
  } catch (const Error& error) {
    text = error.code + ": " + error.what();
  }
  std::filesystem::remove(file);
  return text;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("an edit that gives infinity is named with its branch and site") {
  auto bad = plan();
  bad.edits[0].shift = {kInfinity};
  const auto text = failureOf(bad);
  CAPTURE(text);
  REQUIRE(has(text, "MODEL_FAILED: In step 1 of 4"));
  REQUIRE(has(text, "branch detail-deficient"));
  REQUIRE(has(text, "at blocks.second (output)"));
  REQUIRE(has(text, "weaker edit"));
}

TEST_CASE("a branch that fails in a later step alone is found there") {
  auto bad = plan();
  bad.edits[0].operation = Operation::retain;
  bad.edits[0].retention = {1, 1, kInfinity, 1};
  REQUIRE(has(failureOf(bad), "In step 3 of 4 (timestep 0.5"));
}

TEST_CASE("what the sampler makes infinite is no branch's fault") {
  auto bad = plan();
  bad.steps[1].sample = kInfinity;
  const auto text = failureOf(bad);
  CAPTURE(text);
  REQUIRE(has(text, "In step 3 of 4"));
  REQUIRE(has(text, "the latents are not finite any more"));
  bad = plan();
  bad.steps.back().sample = kInfinity;
  REQUIRE(has(failureOf(bad), "after the last step"));
}

TEST_CASE("float16 is told of its range") {
  auto bad = plan();
  bad.edits[0].shift = {1e6};
  REQUIRE(has(failureOf(bad, at::kHalf), "float16 ends at 65504"));
}

TEST_CASE("a watch knows the step and the branch") {
  FiniteWatch watch;
  const auto fine = at::ones({1, 2}), bad = at::full({1, 2}, kInfinity), none = at::Tensor();
  watch.look(0, fine, {fine, none, fine});
  REQUIRE(!watch.find(false));
  watch.look(1, fine, {fine, none, at::full({1, 2}, std::numeric_limits<double>::quiet_NaN())});
  const auto found = watch.find(false);
  REQUIRE(found);
  REQUIRE(found->observation.step == 1);
  REQUIRE(found->branch == 2);
  watch.look(2, fine, {bad});
  REQUIRE(watch.find(true)->branch == 0);
}
