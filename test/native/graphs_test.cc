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
  // Ours look at what is active on the thread: as on a device, it is their work that counts.
  if (op.schema().name().rfind(kNamespace, 0) == 0) return op.redispatchBoxed(keys.remove(kKey), stack);
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

SampleResult run(Model& model, const Plan& plan) {
  const std::atomic<bool> cancelled{false};
  return sample(model, plan, nullptr, cancelled);
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
  const auto half = [](const Values& inputs) { return inputs[0].toTensor() * 0.5; };
  for (const double value : {1.0, 2.0, 3.0, 4.0, 5.0}) {
    REQUIRE(graphed.run({at::full({2}, value)}, half).equal(at::full({2}, value * 0.5)));
  }
  REQUIRE(graphed.captured() == 1);
  REQUIRE(graphed.replayed() == 3);
  // Another shape is captured on its own, and the first stays.
  for (int i = 0; i < 3; ++i) REQUIRE(graphed.run({at::full({3}, 8.0)}, half).equal(at::full({3}, 4.0)));
  REQUIRE(graphed.captured() == 2);
  REQUIRE(graphed.run({at::full({2}, 9.0)}, half).equal(at::full({2}, 4.5)));
  REQUIRE(graphed.captured() == 2);
  // The tape is as literal as it should be: a number that is not in a tensor does not change.
  GraphedComputation literal(&capturer);
  double factor = 1;
  const auto scaled = [&](const Values& inputs) { return inputs[0].toTensor() * factor; };
  for (; factor < 4; factor += 1) literal.run({at::ones({2})}, scaled);
  factor = 100;
  REQUIRE(literal.run({at::ones({2})}, scaled).equal(at::full({2}, 3.0)));
}

// What a graph reads beside its inputs has to last as long: it is told of that, or memory is read that is gone.
TEST_CASE("a graph holds on to what it reads") {
  const Taped taped;
  const c10::InferenceMode inference;
  TapeCapturer capturer;
  for (const bool told : {false, true}) {
    GraphedComputation graphed(&capturer);
    auto table = at::full({2}, 3.0);
    const auto scaled = [&](const Values& inputs) { return inputs[0].toTensor() * table; };
    const auto next = [&] {
      return graphed.run({at::ones({2})}, scaled, told ? std::vector<at::Tensor>{table} : std::vector<at::Tensor>{});
    };
    for (int i = 0; i < 3; ++i) next();
    table = at::Tensor();
    if (told) {
      const auto nothing = [](const Values&) { return at::Tensor(); };
      REQUIRE(graphed.run({at::ones({2})}, nothing).equal(at::full({2}, 3.0)));
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
  const auto half = [](const Values& inputs) { return inputs[0].toTensor() * 0.5; };
  const auto thrice = [&](int64_t size) {
    for (int i = 0; i < 3; ++i) REQUIRE(graphed.run({at::full({size}, 8.0)}, half).equal(at::full({size}, 4.0)));
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
