// Blocks whose weights wait in host memory: the result is that without, to the last bit, and the weights of two blocks
// at most are on the device at any time. The CPU stands in for the device; the copies are made all the same.
#include "native/core/graph/offload.h"

#include <ATen/Functions.h>
#include <torch/csrc/jit/ir/constants.h>

#include <atomic>
#include <vector>

#include "native/core/cancellation.h"
#include "native/core/device/host_memory.h"
#include "native/core/graph/linear_weights.h"
#include "native/core/model/forward.h"
#include "native/core/operators/avx512.h"
#include "native/core/operators/offloaded_weights.h"
#include "native/core/operators/product_way.h"
#include "native/core/sampling/sampler.h"
#include "test/native/testing.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

// A module of four blocks with a feed-forward network each and a modulation that does not depend on the hidden state,
// and a bias that is the same tensor in all of them.
torch::jit::Module feedForward() {
  auto unit = std::make_shared<torch::jit::CompilationUnit>();
  torch::jit::Module root("__torch__.OffloadRoot", unit, true), container("__torch__.OffloadBlocks", unit, true);
  torch::jit::Module first("__torch__.OffloadBlock", unit, true);
  at::manual_seed(13);
  const auto shared = at::randn({8}) * 0.1;
  const std::vector<std::pair<const char*, at::Tensor>> weights{
      {"modulation", at::randn({24, 8})}, {"up", at::randn({64, 8})}, {"down", at::randn({8, 64})}};
  for (const auto& [name, like] : weights) first.register_parameter(name, at::randn_like(like) * 0.3, false);
  first.register_parameter("shared", shared, false);
  first.define(R"JIT(
    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        gate, scale, shift = torch.linear(torch.silu(c), self.modulation, None).unsqueeze(1).chunk(3, -1)
        h = torch.layer_norm(x, [8], None, None, 1e-6) * (1 + scale) + shift
        h = torch.linear(torch.gelu(torch.linear(h, self.up, None), approximate="tanh"), self.down, self.shared)
        return x + gate * h
  )JIT");
  container.register_module("b0", first);
  for (const char* path : {"b1", "b2", "b3"}) {
    torch::jit::Module block(unit, first.type());
    for (const auto& [name, like] : weights) block.setattr(name, at::randn_like(like) * 0.3);
    block.setattr("shared", shared);
    container.register_module(path, block);
  }
  root.register_module("blocks", container);
  root.register_parameter("embedding", at::randn({4, 8}), false);
  root.define(R"JIT(
    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        c = self.embedding[y] + t.unsqueeze(1)
        h = x.flatten(2).transpose(1, 2)
        h = self.blocks.b1.forward(self.blocks.b0.forward(h, c), c)
        h = self.blocks.b3.forward(self.blocks.b2.forward(h, c), c)
        return h.transpose(1, 2).reshape([x.size(0), 8, 2, 2])
  )JIT");
  return root;
}

constexpr int64_t kBlocks = 4;
constexpr int64_t kBlockNumbers = 24 * 8 + 2 * 64 * 8;  // of its own: the shared bias stays where it is
// Packed for the package's own product, which rounds outputs up to 16.
constexpr int64_t kPackedNumbers = 32 * 8 + 64 * 8 + 16 * 64;
const int64_t kBroughtBytes = 4 * (hasOwnProduct(at::kFloat) ? kPackedNumbers : kBlockNumbers);

struct Loaded {
  explicit Loaded(bool offload, at::ScalarType dtype = at::kFloat, bool quantise = false,
                  std::optional<std::vector<std::string>> fuse = std::nullopt) {
    feedForward().save(file);
    auto options = test::toyOptions(file);
    options.dtype = dtype;
    options.fuse = std::move(fuse);
    options.offloadBlocks = offload;
    if (quantise) options.quantise.emplace();
    model = Model::load(options);
  }
  ~Loaded() { std::filesystem::remove(file); }

  SampleResult sampled(const std::function<void(const Progress&)>& onStep = nullptr) const {
    Edit edit;
    edit.channels = {1, 5};
    edit.retention = {0};
    auto plan = test::toyPlan(2, 3, edit);
    plan.edits[0].path = "blocks.b1";
    return sample(*model, plan, onStep, cancelled);
  }

  std::string file = test::temporaryFile("offload.pt");
  std::unique_ptr<Model> model;
  mutable std::atomic<bool> cancelled{false};
};

void requireSame(bool quantise, at::ScalarType dtype, std::optional<std::vector<std::string>> fuse) {
  const Loaded plain(false, dtype, quantise, fuse), waiting(true, dtype, quantise, fuse);
  const auto expected = plain.sampled(), found = waiting.sampled();
  REQUIRE(found.latents.equal(expected.latents));
  REQUIRE(found.execution.partialForward.shared);
  REQUIRE(found.execution.fused == expected.execution.fused);
  REQUIRE(!expected.execution.offload);
  REQUIRE(found.execution.offload);
}

std::shared_ptr<WaitingWeights> waitingOf(std::vector<at::Tensor> host) {
  auto weights = std::make_shared<WaitingWeights>();
  weights->host = std::move(host);
  return weights;
}

}  // namespace

TEST_CASE("the same bytes, with and without") {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    requireSame(false, dtype, std::nullopt);
    requireSame(false, dtype, std::vector<std::string>{});
    if (!withoutInt8()) requireSame(true, dtype, std::nullopt);
  }
}

TEST_CASE("two blocks at most, and all of them in every evaluation") {
  const Loaded waiting(true);
  const auto first = waiting.sampled().execution.offload.value();
  REQUIRE(first.blocks == kBlocks);
  REQUIRE(first.bytes == kBlocks * kBlockNumbers * 4);
  REQUIRE(waiting.model->offloaded()->largest == kBlockNumbers * 4);
  REQUIRE(first.resident <= 2 * kBroughtBytes);
  // By now it is known what follows what: each of the three evaluations brings each weight once.
  const auto second = waiting.sampled().execution.offload.value();
  REQUIRE(second.brought == 3 * kBlocks * kBroughtBytes);
  REQUIRE(second.resident <= 2 * kBroughtBytes);
}

TEST_CASE("packed weights wait as well") {
  // Those of the package's own product alone can.
  if (!hasOwnProduct(at::kBFloat16)) return;
  Loaded waiting(true, at::kBFloat16);
  const auto brought = waiting.sampled().execution.offload->brought;
  REQUIRE(brought > 0);
  // Every marked constant is a packed weight now, and none is read where it waits.
  int64_t packed = 0;
  auto graph = waiting.model->flat().graph->copy();
  for (auto* node : nodesOfKind(*graph, c10::prim::Constant)) {
    const auto value = torch::jit::toIValue(node->output());
    if (value && value->isCustomClass()) packed += movableTensors(*value).empty() ? 0 : 1;
  }
  REQUIRE(packed == 3 * kBlocks);
  bringOffloaded(*graph);
  for (auto* node : nodesOfKind(*graph, c10::prim::Constant)) {
    const auto value = torch::jit::toIValue(node->output());
    if (value && value->isCustomClass()) REQUIRE(movableTensors(*value).empty());
  }
}

TEST_CASE("hooks see and change what they do without") {
  const Loaded plain(false), waiting(true);
  const std::vector<at::Tensor> inputs{at::ones({2, 8, 2, 2}), at::full({2}, 0.5), at::ones({2}, at::kLong)};
  Hook hook;
  hook.capture = true;
  for (size_t site = 0; site < plain.model->flat().sites.size(); ++site) {
    hook.sites.push_back(static_cast<int64_t>(site));
  }
  Edit edit;
  edit.path = "blocks.b2";
  edit.channels = {3};
  edit.retention = {0};
  hook.edits = {edit};
  const auto expected = forwardWithHooks(*plain.model, inputs, {hook});
  const auto found = forwardWithHooks(*waiting.model, inputs, {hook});
  REQUIRE(found.output.equal(expected.output));
  REQUIRE(found.captures.size() == expected.captures.size());
  for (size_t i = 0; i < found.captures.size(); ++i) {
    REQUIRE(found.captures[i].second.equal(expected.captures[i].second));
  }
}

TEST_CASE("a run that is ended in the middle leaves nothing behind") {
  const Loaded plain(false), waiting(true);
  const auto expected = plain.sampled().latents;
  REQUIRE_CODE("ABORT_ERR", waiting.sampled([&](const Progress&) { waiting.cancelled = true; }));
  // In the middle of a block's evaluation too: the hook at its output ends it.
  waiting.cancelled = false;
  {
    const CancelScope scope(waiting.cancelled);
    HookSet hooks;
    hooks.at(findSites(waiting.model->flat().sites, "blocks.b1", TapSide::output, std::nullopt).front()).observe =
        [&](const at::Tensor&) { waiting.cancelled = true; };
    const Values inputs{at::ones({1, 8, 2, 2}), at::full({1}, 0.5), at::ones({1}, at::kLong)};
    REQUIRE_CODE("ABORT_ERR", waiting.model->forward(inputs, hooks, {}));
  }
  waiting.cancelled = false;
  const auto after = waiting.sampled();
  REQUIRE(after.latents.equal(expected));
  REQUIRE(after.execution.offload->resident <= 2 * kBroughtBytes);
}

TEST_CASE("what is brought next is sent for while this is read") {
  BlockOffload offload(at::kCPU);
  const auto a = waitingOf({at::ones({4})}), b = waitingOf({at::full({2}, 2.0), at::full({4}, 3.0)}),
             c = waitingOf({at::zeros({4})});
  a->next = b;
  b->next = c;
  const auto& first = offload.bring(a);
  REQUIRE(first.at(0).equal(a->host[0]));
  REQUIRE(first.at(0).data_ptr() != a->host[0].data_ptr());
  REQUIRE(offload.use().brought == 16 + 24);  // a, and b beside it
  const auto held = first.at(0);
  const auto* memory = held.data_ptr();
  REQUIRE(offload.bring(a).at(0).data_ptr() == memory);  // is there
  REQUIRE(offload.bring(b).at(1).equal(b->host[1]));
  REQUIRE(offload.use().brought == 16 + 24 + 16);  // c in the place of a
  REQUIRE(offload.use().resident == 40);
  REQUIRE(held.equal(a->host[0]));  // what somebody holds stays as it is
  // Another one than was expected; from now on it is what follows b.
  offload.bring(b);
  const auto before = offload.use().brought;
  offload.bring(a);
  REQUIRE(offload.use().brought == before + 16 + 0);  // a for c; b is there
  REQUIRE(b->next.lock() == a);
  offload.clear();
  offload.bring(b);
  REQUIRE(offload.use().brought == before + 16 + 24 + 16);
  REQUIRE(offload.use().resident == 40);
}

TEST_CASE("a copy that fails leaves a place that is free") {
  BlockOffload offload(at::kCPU);
  const auto good = waitingOf({at::ones({4})}), bad = waitingOf({at::ones({4}), at::Tensor()});
  offload.bring(good);
  bool failed = false;
  try {
    offload.bring(bad);
  } catch (const c10::Error&) {
    failed = true;
  }
  REQUIRE(failed);
  REQUIRE(offload.bring(good).at(0).equal(good->host[0]));
  bad->host.pop_back();
  REQUIRE(offload.bring(bad).at(0).equal(bad->host[0]));
  REQUIRE(offload.use().resident == 32);
}

TEST_CASE("blocks without weights can not wait") {
  auto unit = std::make_shared<torch::jit::CompilationUnit>();
  torch::jit::Module root("__torch__.Bare", unit, true), container("__torch__.BareBlocks", unit, true);
  torch::jit::Module block("__torch__.BareBlock", unit, true);
  block.define("def forward(self, x: Tensor) -> Tensor:\n    return x * 0.5\n");
  container.register_module("first", block);
  root.register_module("blocks", container);
  root.define(
      "def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:\n    return self.blocks.first.forward(x)\n");
  const auto file = test::temporaryFile("offload-bare.pt");
  root.save(file);
  auto options = test::toyOptions(file);
  options.offloadBlocks = true;
  REQUIRE_CODE("BAD_OPTION", Model::load(options));
  options.offloadBlocks = false;
  REQUIRE_NOTHROW(Model::load(options));
  std::filesystem::remove(file);
}

TEST_CASE("host memory comes in few pieces and holds what it was given") {
  at::manual_seed(5);
  std::vector<at::Tensor> tensors{at::randn({33, 7}), at::randn({9, 11}).t(), at::randn({5}).to(at::kBFloat16),
                                  at::randn({1, 6}).expand({4, 6}), at::arange(1000, at::kLong)};
  int64_t bytes = 0;
  for (const auto& tensor : tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  HostMemory memory(bytes, /*isPinned=*/false);
  std::vector<at::Tensor> kept;
  for (const auto& tensor : tensors) kept.push_back(memory.keep(tensor));
  for (size_t i = 0; i < tensors.size(); ++i) REQUIRE(kept[i].equal(tensors[i]));
  REQUIRE(kept[1].strides() == tensors[1].strides());
  REQUIRE(kept[0].storage().data() == kept[1].storage().data());
  REQUIRE(memory.bytes() < 2 * bytes);
}
