// Packed linear layers give what the plain ones give, row by row the same, in no more memory; hooks see and change what
// they saw and changed.
#include "native/core/graph/pack.h"

#include <ATen/record_function.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "native/core/cancellation.h"
#include "native/core/model/forward.h"
#include "native/core/sampling/sampler.h"
#include "test/native/packed_dtypes.h"
#include "test/native/product_ways.h"
#include "test/native/testing.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

// Two blocks with a feed-forward layer each, as submodules, so that there is a site between product and GELU.
// `readTwice`: and the product is read beside the GELU.
torch::jit::Module feedForward(bool readTwice = false) {
  auto unit = std::make_shared<torch::jit::CompilationUnit>();
  torch::jit::Module root("__torch__.PackRoot", unit, true), container("__torch__.PackBlocks", unit, true);
  torch::jit::Module up("__torch__.PackUp", unit, true), block("__torch__.PackBlock", unit, true);
  at::manual_seed(11);
  up.register_parameter("weight", at::randn({64, 8}) * 0.3, false);
  up.register_parameter("bias", at::randn({64}) * 0.1, false);
  up.define("def forward(self, x: Tensor) -> Tensor:\n    return torch.linear(x, self.weight, self.bias)\n");
  const auto fill = [&](torch::jit::Module& into, const torch::jit::Module& child, bool isNew) {
    if (isNew) {
      into.register_module("up", child);
      into.register_parameter("weight", at::randn({8, 64}) * 0.3, false);
    } else {
      into.setattr("up", child._ivalue());
      into.setattr("weight", at::randn({8, 64}) * 0.3);
    }
  };
  fill(block, up, true);
  block.define(std::string(R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        up = self.up.forward(x)
        return x + torch.linear(torch.gelu(up, approximate="tanh"))JIT") +
               (readTwice ? " + up" : "") + ", self.weight, None)\n");
  container.register_module("first", block);
  torch::jit::Module secondUp(unit, up.type()), second(unit, block.type());
  secondUp.setattr("weight", at::randn({64, 8}) * 0.3);
  secondUp.setattr("bias", at::randn({64}) * 0.1);
  fill(second, secondUp, false);
  container.register_module("second", second);
  root.register_module("blocks", container);
  root.register_parameter("embedding", at::randn({4, 8}), false);
  root.define(R"JIT(
    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        h = x.flatten(2).transpose(1, 2) + (self.embedding[y] + t.unsqueeze(1)).unsqueeze(1)
        h = self.blocks.second.forward(self.blocks.first.forward(h))
        return h.transpose(1, 2).reshape([x.size(0), 8, 2, 2])
  )JIT");
  return root;
}

struct Loaded {
  explicit Loaded(at::ScalarType dtype = at::kFloat, std::optional<std::vector<std::string>> fuse = std::nullopt,
                  bool readTwice = false) {
    feedForward(readTwice).save(file);
    LoadOptions options;
    options.file = file;
    options.dtype = dtype;
    options.fuse = std::move(fuse);
    options.inputs = {
        {"x", "latent", std::nullopt, true}, {"t", "timestep", std::nullopt, true}, {"y", "class", at::kLong, true}};
    options.blocks = {{"blocks.*", {"image"}}};
    model = Model::load(options);
  }
  ~Loaded() { std::filesystem::remove(file); }

  at::Tensor forward(const at::Tensor& x, const std::vector<Hook>& hooks = {}) const {
    const auto rows = x.size(0);
    return forwardWithHooks(*model, {x, at::full({rows}, 0.5), at::ones({rows}, at::kLong)}, hooks).output;
  }

  int64_t site(const std::string& path) const {
    return findSites(model->flat().sites, path, TapSide::output, std::nullopt).front();
  }

  std::string file = test::temporaryFile("pack.pt");
  std::unique_ptr<Model> model;
};

const auto kLatents = gaussian(5, {3, 8, 2, 2});

std::vector<c10::weak_intrusive_ptr<c10::StorageImpl>> weightsOf(const Model& model) {
  std::vector<c10::weak_intrusive_ptr<c10::StorageImpl>> weights;
  for (const auto* node : model.flat().graph->nodes()) {
    if (node->kind() != c10::aten::linear) continue;
    weights.push_back(torch::jit::toIValue(node->input(1))->toTensor().storage().getWeakStorageImpl());
  }
  return weights;
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kFloat) - b.to(at::kFloat)).abs().max() / b.to(at::kFloat).abs().max()).item<double>();
}

}  // namespace

TEST_CASE_IN_EACH_WAY("the packed model gives what the plain one gives") {
  for (const auto dtype : test::packedDtypes()) {
    const Loaded packed(dtype), plain(dtype, std::vector<std::string>{});
    REQUIRE(packed.model->fusionCounts().at("pack") == 4);
    const auto found = packed.forward(kLatents);
    CAPTURE(packed.model->fusionFinding());
    REQUIRE(packed.model->fusionCounts().at("pack") == 4);
    REQUIRE(difference(found, plain.forward(kLatents)) < (dtype == at::kFloat ? 1e-6 : 2e-2));
    REQUIRE(plain.model->fusionCounts().count("pack") == 0);
  }
}

TEST_CASE_IN_EACH_WAY("plain weights are gone once they are packed") {
  const Loaded packed;
  const auto weights = weightsOf(*packed.model);
  REQUIRE(weights.size() == 4);
  for (const auto& weight : weights) REQUIRE(!weight.expired());
  packed.forward(kLatents);
  for (const auto& weight : weights) REQUIRE(weight.expired());
  REQUIRE(weightsOf(*packed.model).empty());
}

TEST_CASE_IN_EACH_WAY("a row does not depend on the others") {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const Loaded packed(dtype);
    const auto all = packed.forward(kLatents);
    for (int64_t row = 0; row < 3; ++row) {
      REQUIRE(packed.forward(kLatents.narrow(0, row, 1))[0].equal(all[row]));
    }
  }
}

TEST_CASE_IN_EACH_WAY("nor does one of a layer with a single output") {
  for (const auto dtype : test::packedDtypes()) {
    at::manual_seed(2);
    const auto weight = c10::make_intrusive<PackedWeight>(at::randn({1, 260}).to(dtype));
    const auto x = at::randn({600, 260}).to(dtype), bias = at::randn({1}).to(dtype);
    const auto all = packedLinear(x, weight, bias, "swish");
    REQUIRE((all.sizes() == at::IntArrayRef({600, 1})));
    for (int64_t row = 0; row < 600; row += 7) {
      REQUIRE(packedLinear(x.narrow(0, row, 1), weight, bias, "swish").equal(all.narrow(0, row, 1)));
    }
    REQUIRE(weight->plain().sizes() == at::IntArrayRef({1, 260}));
  }
}

TEST_CASE_IN_EACH_WAY("a hook that only looks, between product and GELU too, changes no bit") {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const bool readTwice : {false, true}) {
      CAPTURE(readTwice);
      const Loaded packed(dtype, std::nullopt, readTwice);
      const auto before = packed.forward(kLatents);
      Hook hook;
      hook.capture = true;
      hook.sites = {packed.site("blocks.first.up"), packed.site("blocks.second.up"), packed.site("blocks.second")};
      REQUIRE(packed.forward(kLatents, {hook}).equal(before));
    }
  }
}

TEST_CASE_IN_EACH_WAY("an edit between product and GELU acts") {
  const Loaded packed, plain(at::kFloat, std::vector<std::string>{});
  Hook hook;
  Edit edit;
  edit.path = "blocks.first.up";
  edit.channels = std::vector<int64_t>{3, 40};
  hook.sites = {packed.site("blocks.first.up")};
  hook.edits = {edit};
  const auto found = packed.forward(kLatents, {hook});
  REQUIRE(difference(found, packed.forward(kLatents)) > 1e-3);
  REQUIRE(difference(found, plain.forward(kLatents, {hook})) < 1e-6);
}

TEST_CASE_IN_EACH_WAY("unpacking is exact") {
  const Loaded packed, plain(at::kFloat, std::vector<std::string>{});
  auto graph = plain.model->flat().graph->copy();
  REQUIRE(countPackable(*graph) == 4);
  const Values inputs{kLatents, at::full({3}, 0.5), at::ones({3}, at::kLong)};
  const auto before = Program(graph).run(inputs).at(0).toTensor();
  packLinears(*graph);
  REQUIRE(countPackable(*graph) == 0);
  unpackLinears(*graph);
  REQUIRE(countPackable(*graph) == 4);
  REQUIRE(Program(graph).run(inputs).at(0).toTensor().equal(before));
}

TEST_CASE_IN_EACH_WAY("a weight that others read, or that is no constant, stays as it is") {
  auto graph = std::make_shared<torch::jit::Graph>();
  auto* x = graph->addInput();
  auto* given = graph->addInput();
  auto* shared = graph->insertConstant(at::randn({4, 4}));
  auto* lone = graph->insertConstant(at::randn({4, 4}));
  auto* none = graph->insertConstant(c10::IValue());
  const auto linear = [&](torch::jit::Value* input, torch::jit::Value* weight) {
    auto* node = graph->create(c10::aten::linear, {input, weight, none});
    return graph->insertNode(node)->output();
  };
  auto* h = linear(linear(linear(linear(x, given), shared), lone), lone);
  auto* product = graph->insertNode(graph->create(c10::aten::mul, {h, shared}))->output();
  graph->registerOutput(product);
  REQUIRE(countPackable(*graph) == 2);  // both layers of the lone weight
  const Values inputs{at::randn({4, 4}), at::randn({4, 4})};
  const auto before = Program(graph).run(inputs).at(0).toTensor();
  packLinears(*graph);
  REQUIRE(at::allclose(Program(graph).run(inputs).at(0).toTensor(), before, 1e-5, 1e-5));
}

TEST_CASE_IN_EACH_WAY("an abort while weights are packed leaves nothing half") {
  const Loaded fresh;
  const auto expected = fresh.forward(kLatents);
  static int64_t left;
  static std::atomic<bool> cancelled;
  for (left = 1; left < 8; left += 2) {
    const auto start = left;
    const Loaded packed;
    cancelled = false;
    const auto handle = at::addGlobalCallback(
        at::RecordFunctionCallback([](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
          const std::string name = function.name();
          if (name.rfind("detail_guidance::packed_", 0) == 0 && --left == 0) cancelled = true;
          return nullptr;
        }).scopes({at::RecordScope::FUNCTION}));
    {
      const CancelScope scope(cancelled);
      REQUIRE_CODE("ABORT_ERR", packed.forward(kLatents));
    }
    at::removeCallback(handle);
    REQUIRE(packed.forward(kLatents).equal(expected));
    left = start;
  }
}
