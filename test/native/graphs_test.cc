// Device graphs, with a capturer for the CPU that is as literal as a CUDA graph: it keeps the operators
// that ran and the very memory they read and wrote, so that a number which was not in a tensor stays what it was. What
// it did not allocate itself it does not keep alive either: reading what has been freed since is an error here.
#include <ATen/Functions.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <set>
#include <stdexcept>
#include <string_view>

#include "native/core/model/graphed_computation.h"
#include "native/core/operators/names.h"
#include "native/core/sampling/sampler.h"
#include "test/native/testing.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

using Source = std::function<c10::IValue()>;

struct Call {
  c10::OperatorHandle op;
  std::vector<Source> arguments;
  torch::jit::Stack results;
};
struct Tape {
  std::vector<Call> calls;
  std::set<const c10::StorageImpl*> own;  // allocated while it was captured
};

constexpr std::string_view kStatistics = "detail_guidance::statistics";
constexpr auto kKey = c10::DispatchKey::TESTING_ONLY_GenericMode;
thread_local Tape* tape = nullptr;
// The tape sees operators of libtorch, and not the loops of our own for the CPU.
const std::vector<std::string> kUnfused;
int64_t captures = 0;
bool refuses = false;

// Memory of somebody else: known by its address.
Source borrowed(const at::Tensor& tensor) {
  auto memory = tensor.storage().getWeakStorageImpl();
  return [memory, sizes = tensor.sizes().vec(), strides = tensor.strides().vec(), offset = tensor.storage_offset(),
          options = tensor.options()]() -> c10::IValue {
    auto alive = memory.lock();
    if (!alive) throw Error("FREED", "A graph reads memory that has been freed.");
    return at::empty({0}, options).set_(c10::Storage(std::move(alive)), offset, sizes, strides);
  };
}

Source sourceOf(const c10::IValue& value) {
  if (value.isTensor() && value.toTensor().defined()) {
    if (!tape->own.count(value.toTensor().storage().unsafeGetStorageImpl())) return borrowed(value.toTensor());
  } else if (value.isList()) {
    std::vector<Source> elements;
    for (const auto& element : value.toListRef()) elements.push_back(sourceOf(element));
    return [elements, type = value.toList().elementType()] {
      c10::impl::GenericList list(type);
      for (const auto& element : elements) list.push_back(element());
      return c10::IValue(list);
    };
  }
  return [value] { return value; };
}

void collectMemory(const c10::IValue& value, std::set<const c10::StorageImpl*>& found) {
  if (value.isTensor() && value.toTensor().defined()) {
    found.insert(value.toTensor().storage().unsafeGetStorageImpl());
  } else if (value.isList()) {
    for (const auto& element : value.toListRef()) collectMemory(element, found);
  }
}

void note(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  // Ours look at what is active on the thread: as on a device, it is their work that counts. What is made of a hidden
  // state is one pass here, as on a device.
  const auto& name = op.schema().name();
  if (name.rfind(kNamespace, 0) == 0 && name != kStatistics) return op.redispatchBoxed(keys.remove(kKey), stack);
  const c10::impl::ExcludeDispatchKeyGuard guard(kKey);
  const auto count = op.schema().arguments().size();
  std::vector<Source> arguments;
  std::set<const c10::StorageImpl*> given, results;
  for (auto argument = stack->end() - static_cast<int64_t>(count); argument != stack->end(); ++argument) {
    arguments.push_back(sourceOf(*argument));
    collectMemory(*argument, given);
  }
  op.callBoxed(stack);
  const auto returned = static_cast<int64_t>(op.schema().returns().size());
  const torch::jit::Stack returns(stack->end() - returned, stack->end());
  for (const auto& each : returns) collectMemory(each, results);
  for (const auto* memory : results) {
    if (!given.count(memory)) tape->own.insert(memory);
  }
  tape->calls.push_back({op, std::move(arguments), returns});
}

void overwrite(const c10::IValue& kept, const c10::IValue& fresh) {
  if (!kept.isTensor() || !kept.toTensor().defined()) return;  // lists of tensors are views here
  const auto& to = kept.toTensor();
  if (to.const_data_ptr() != fresh.toTensor().const_data_ptr()) to.copy_(fresh.toTensor());
}

class TapeGraph : public DeviceGraph {
 public:
  void replay() override {
    for (const auto& call : captured.calls) {
      torch::jit::Stack stack;
      for (const auto& argument : call.arguments) stack.push_back(argument());
      call.op.callBoxed(&stack);
      for (size_t i = 0; i < call.results.size(); ++i) overwrite(call.results[i], stack[i]);
    }
  }
  Tape captured;
};

class TapeCapturer : public GraphCapturer {
 public:
  std::unique_ptr<DeviceGraph> capture(const std::function<void()>& work) override {
    if (refuses) throw std::runtime_error("this capturer refuses");
    auto graph = std::make_unique<TapeGraph>();
    tape = &graph->captured;
    const c10::impl::IncludeDispatchKeyGuard guard(kKey);
    work();
    ++captures;
    return graph;
  }
};

Plan planOf(double retention, std::vector<int64_t> channels, double scale) {
  Plan plan;
  plan.latents = gaussian(1, {1, 8, 2, 2});
  plan.conditionings = {{at::tensor({1}, at::kLong)}, {at::tensor({3}, at::kLong)}};
  Edit disrupt;
  disrupt.path = "blocks.second";
  disrupt.channels = std::move(channels);
  Edit shuffle;
  shuffle.path = "blocks.third";
  shuffle.operation = Operation::shuffle;
  shuffle.seed = 5;
  plan.branches = {{0, {}}, {1, {}}, {0, {0}}, {0, {1}}};
  for (int i = 0; i < 8; ++i) {
    disrupt.retention.push_back(i % 3 == 0 ? 0 : retention / (i + 1));
    Step step;
    step.timestep = 1.0 - 0.125 * i;
    step.weights = {1 + scale, -scale, -0.3, -0.2};
    step.outputs = {-0.125};
    plan.steps.push_back(step);
  }
  plan.edits = {disrupt, shuffle};
  return plan;
}

SampleResult run(Model& model, const Plan& plan, const RecordSink& onRecords = nullptr) {
  const std::atomic<bool> cancelled{false};
  return sample(model, plan, nullptr, cancelled, onRecords);
}

// What is handed out in a run of a plan that records.
std::vector<Records> recordsOf(Model& model, const Plan& plan) {
  std::vector<Records> all;
  run(model, plan, [&](Records records) { all.push_back(std::move(records)); });
  return all;
}

bool agree(const std::vector<Records>& a, const std::vector<Records>& b) {
  const auto entryAgrees = [](const RecordEntry& one, const RecordEntry& other) {
    const bool sameTensor = one.tensor.defined() ? one.tensor.equal(other.tensor) : !other.tensor.defined();
    return one.site == other.site && one.branch == other.branch && one.tokens == other.tokens &&
           one.channels == other.channels && one.keys == other.keys && sameTensor;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const Records& one, const Records& other) {
    const auto &mine = one.entries, &others = other.entries;
    return one.step == other.step && one.timestep == other.timestep && one.image == other.image &&
           one.images == other.images && one.words.equal(other.words) &&
           std::equal(mine.begin(), mine.end(), others.begin(), others.end(), entryAgrees);
  });
}

// A graph's computation of a tensor alone.
GraphedComputation::Computation only(std::function<at::Tensor(const Values&)> compute) {
  return [compute = std::move(compute)](const Values& inputs) { return Evaluation{compute(inputs), {}, {}}; };
}

std::unique_ptr<GraphCapturer> makeTapeCapturer(at::Device) { return std::make_unique<TapeCapturer>(); }

// The tape is switched on for the length of a test case.
struct Taped {
  Taped() {
    fallback.fallback(torch::CppFunction::makeFromBoxedFunction<&note>());
    setGraphCapturerFactory(makeTapeCapturer);
  }
  ~Taped() {
    setGraphCapturerFactory(nullptr);
    refuses = false;
  }

  torch::Library fallback{torch::Library::IMPL, "_", kKey, __FILE__, __LINE__};
};

// The toy on a device with graphs, and the same without.
struct TapedToy : Taped {
  ~TapedToy() { std::filesystem::remove(file); }

  std::string file = test::temporaryFile("graphs.pt");
  std::unique_ptr<Model> model = test::loadToy(file, at::kFloat, kUnfused);
  std::unique_ptr<Model> eager = [this] {
    setGraphCapturerFactory(nullptr);
    auto loaded = test::loadToy(file, at::kFloat, kUnfused);
    setGraphCapturerFactory(makeTapeCapturer);
    return loaded;
  }();
  Plan plan = planOf(0.5, {0, 5}, 2);
};

}  // namespace

TEST_CASE("a computation is captured once for every set of shapes") {
  const Taped taped;
  const c10::InferenceMode inference;
  TapeCapturer capturer;
  GraphedComputation graphed(&capturer);
  const auto half = only([](const Values& inputs) { return inputs[0].toTensor() * 0.5; });
  for (const double value : {1.0, 2.0, 3.0, 4.0, 5.0}) {
    REQUIRE(graphed.run({at::full({2}, value)}, half).prediction.equal(at::full({2}, value * 0.5)));
  }
  REQUIRE(graphed.captured() == 1);
  REQUIRE(graphed.replayed() == 3);
  // Another shape is captured on its own, and the first stays.
  for (int i = 0; i < 3; ++i) REQUIRE(graphed.run({at::full({3}, 8.0)}, half).prediction.equal(at::full({3}, 4.0)));
  REQUIRE(graphed.captured() == 2);
  REQUIRE(graphed.run({at::full({2}, 9.0)}, half).prediction.equal(at::full({2}, 4.5)));
  REQUIRE(graphed.captured() == 2);
  // The tape is as literal as it should be: a number that is not in a tensor does not change.
  GraphedComputation literal(&capturer);
  double factor = 1;
  const auto scaled = only([&](const Values& inputs) { return inputs[0].toTensor() * factor; });
  for (; factor < 4; factor += 1) literal.run({at::ones({2})}, scaled);
  factor = 100;
  REQUIRE(literal.run({at::ones({2})}, scaled).prediction.equal(at::full({2}, 3.0)));
}

// What a graph reads beside its inputs has to last as long: it is told of that, or memory is read that is gone.
TEST_CASE("a graph holds on to what it reads") {
  const Taped taped;
  const c10::InferenceMode inference;
  TapeCapturer capturer;
  for (const bool told : {false, true}) {
    GraphedComputation graphed(&capturer);
    auto table = at::full({2}, 3.0);
    const auto scaled = only([&](const Values& inputs) { return inputs[0].toTensor() * table; });
    const auto next = [&] {
      return graphed.run({at::ones({2})}, scaled, told ? std::vector<at::Tensor>{table} : std::vector<at::Tensor>{});
    };
    for (int i = 0; i < 3; ++i) next();
    table = at::Tensor();
    if (told) {
      const auto nothing = only([](const Values&) { return at::Tensor(); });
      REQUIRE(graphed.run({at::ones({2})}, nothing).prediction.equal(at::full({2}, 3.0)));
    } else {
      REQUIRE_CODE("FREED", graphed.run({at::ones({2})}, scaled));
    }
  }
}

TEST_CASE("of many shapes the latest are kept") {
  const Taped taped;
  const c10::InferenceMode inference;
  TapeCapturer capturer;
  GraphedComputation graphed(&capturer);
  const auto half = only([](const Values& inputs) { return inputs[0].toTensor() * 0.5; });
  const auto thrice = [&](int64_t size) {
    for (int i = 0; i < 3; ++i)
      REQUIRE(graphed.run({at::full({size}, 8.0)}, half).prediction.equal(at::full({size}, 4.0)));
  };
  for (int64_t size = 1; size <= 20; ++size) thrice(size);
  REQUIRE(graphed.captured() == 20);
  REQUIRE(graphed.replayed() == 20);
  thrice(20);
  REQUIRE(graphed.captured() == 20);
  REQUIRE(graphed.replayed() == 23);
  thrice(1);
  REQUIRE(graphed.captured() == 21);
  REQUIRE(graphed.replayed() == 24);
}

TEST_CASE("numbers that change from step to step take effect in one graph") {
  const TapedToy toy;
  captures = 0;
  // Timesteps, latents, ρ_t and the permutation of a shuffle.
  const auto found = run(*toy.model, toy.plan);
  REQUIRE(found.latents.equal(run(*toy.eager, toy.plan).latents));
  REQUIRE(found.execution.graphs.captured == 1);
  REQUIRE(captures == 1);
  REQUIRE(found.execution.graphs.replayed == 6);
  REQUIRE(found.execution.graphs.reason.empty());
}

TEST_CASE("another run of the same structure replays with its own numbers") {
  const TapedToy toy;
  run(*toy.model, toy.plan);
  captures = 0;
  auto other = planOf(0.9, {3, 7}, 4);
  other.latents = gaussian(9, {1, 8, 2, 2});
  other.conditionings[0][0] = at::tensor({2}, at::kLong);
  const auto found = run(*toy.model, other);
  REQUIRE(found.execution.graphs.captured == 0);
  REQUIRE(found.execution.graphs.replayed == 8);
  REQUIRE(found.latents.equal(run(*toy.eager, other).latents));
  REQUIRE(run(*toy.model, toy.plan).latents.equal(run(*toy.eager, toy.plan).latents));
  REQUIRE(captures == 0);
}

TEST_CASE("a channel that does not exist is refused before anything is replayed") {
  const TapedToy toy;
  run(*toy.model, toy.plan);
  REQUIRE_CODE("CHANNEL_OUT_OF_RANGE", run(*toy.model, planOf(0.5, {0, 8}, 2)));
  REQUIRE(run(*toy.model, toy.plan).latents.equal(run(*toy.eager, toy.plan).latents));
}

TEST_CASE("another structure and another batch are captured anew") {
  const TapedToy toy;
  run(*toy.model, toy.plan);
  auto pair = planOf(0.5, {0, 5, 6}, 2);
  pair.latents = at::cat({gaussian(1, {1, 8, 2, 2}), gaussian(2, {1, 8, 2, 2})});
  pair.batchSize = 2;
  const auto found = run(*toy.model, pair);
  REQUIRE(found.execution.graphs.captured == 1);
  REQUIRE(found.latents.equal(run(*toy.eager, pair).latents));
}

TEST_CASE("what can not be captured runs as it is, and says why") {
  const TapedToy toy;
  refuses = true;
  const auto found = run(*toy.model, toy.plan);
  REQUIRE(found.latents.equal(run(*toy.eager, toy.plan).latents));
  REQUIRE(found.execution.graphs.replayed == 0);
  REQUIRE(found.execution.graphs.reason == "this capturer refuses");
}

namespace {

Recording everythingOf(const Model& model) {
  Recording recording;
  for (size_t site = 0; site < model.flat().sites.size(); ++site) {
    if (model.flat().sites[site].tap == TapSide::output) recording.sites.push_back(static_cast<int64_t>(site));
  }
  recording.branches = {0, 2, 3};
  recording.statistics = {true, {12.5, 99}, true, 3};
  return recording;
}

}  // namespace

TEST_CASE("statistics are made in the graph, and handed out with what they are of") {
  const TapedToy toy;
  auto plan = toy.plan;
  plan.latents = at::cat({gaussian(1, {1, 8, 2, 2}), gaussian(2, {1, 8, 2, 2})});
  plan.batchSize = 2;
  plan.recording = everythingOf(*toy.model);
  const auto expected = recordsOf(*toy.eager, plan);
  REQUIRE(expected.size() == 8);
  REQUIRE(expected[0].entries.size() == plan.recording->sites.size() * 3);
  captures = 0;
  REQUIRE(agree(recordsOf(*toy.model, plan), expected));
  REQUIRE(captures == 1);
  // The next run replays, with its own latents.
  plan.latents = plan.latents * 0.5;
  const auto found = recordsOf(*toy.model, plan);
  REQUIRE(!agree(found, expected));
  REQUIRE(agree(found, recordsOf(*toy.eager, plan)));
  REQUIRE(captures == 1);
}

TEST_CASE("what is recorded tells graphs apart") {
  const TapedToy toy;
  auto plan = toy.plan;
  run(*toy.model, plan);
  const auto recordedAnew = [&](int64_t anew) {
    captures = 0;
    REQUIRE(agree(recordsOf(*toy.model, plan), recordsOf(*toy.eager, plan)));
    REQUIRE(captures == anew);
  };
  plan.recording = everythingOf(*toy.model);
  recordedAnew(1);
  plan.recording->statistics.percentiles[1] = 98;
  recordedAnew(1);
  plan.recording->beforeEdits = true;
  recordedAnew(1);
  plan.recording->sites.pop_back();
  recordedAnew(1);
  recordedAnew(0);
  // Steps that are recorded and steps that are not: a graph each, and those that are not hand out nothing.
  plan.recording->steps = {1, 3, 4, 6, 7};
  plan.recording->branches = {1};
  recordedAnew(2);
  plan.recording->steps = {2, 5};
  recordedAnew(0);
}

TEST_CASE("whole hidden states are recorded without a graph, which says why; steps without them replay") {
  const TapedToy toy;
  auto plan = toy.plan;
  plan.recording = everythingOf(*toy.model);
  plan.recording->tensors = at::kFloat;
  plan.recording->steps = {0, 7};
  REQUIRE(agree(recordsOf(*toy.model, plan), recordsOf(*toy.eager, plan)));
  const auto found = run(*toy.model, plan, [](const Records&) {});
  REQUIRE(found.execution.graphs.captured == 0);
  REQUIRE(found.execution.graphs.replayed == 6);
  REQUIRE(found.execution.graphs.reason == "whole hidden states are recorded while they are computed");
}

TEST_CASE("what adaptive reuse measures is made in the graph") {
  const TapedToy toy;
  auto plan = toy.plan;
  for (int i = 0; i < 4; ++i) plan.steps.push_back(plan.steps.back());
  plan.edits[0].retention.resize(plan.steps.size(), 0.25);
  plan.branches[2].reference = 0;
  plan.adaptiveReuse = {{2, "blocks.first", 0}};
  const auto all = run(*toy.eager, plan).evaluations;
  // A threshold that some steps reach: reused in some of them, as without graphs.
  for (const double threshold : {0.0, 0.3, 1e9}) {
    plan.adaptiveReuse[0].threshold = threshold;
    const auto expected = run(*toy.eager, plan), found = run(*toy.model, plan);
    REQUIRE(found.latents.equal(expected.latents));
    REQUIRE(found.evaluations == expected.evaluations);
    REQUIRE((expected.evaluations < all) == (threshold > 0));
    REQUIRE(found.execution.graphs.replayed > 0);
    REQUIRE(found.execution.graphs.reason.empty());
  }
}

TEST_CASE("as many structures of plan are kept as a comparison of settings goes round") {
  const TapedToy toy;
  const auto goRound = [&] {
    captures = 0;
    for (int64_t count = 1; count <= 8; ++count) {
      std::vector<int64_t> channels(count);
      for (int64_t k = 0; k < count; ++k) channels[k] = k;
      run(*toy.model, planOf(0.5, channels, 2));
    }
    return captures;
  };
  REQUIRE(goRound() == 8);
  REQUIRE(goRound() == 0);
}
