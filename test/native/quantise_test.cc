// Quantised linear layers: exact in what they promise to be exact in, near the plain ones in the rest.
#include "native/core/graph/quantise.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/jit/ir/constants.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "native/core/graph/flatten.h"
#include "native/core/graph/linear_weights.h"
#include "native/core/model/operator_library.h"
#include "native/core/model/weight_inventory.h"
#include "native/core/operators/gelu.h"
#include "native/core/operators/modulation.h"
#include "native/core/operators/offloaded_weights.h"
#include "test/native/testing.h"

using namespace dg;

namespace {

bool isHere() {
  const auto missing = withoutInt8();
  if (missing) DOCTEST_MESSAGE(*missing);
  return !missing;
}

c10::intrusive_ptr<QuantisedWeight> quantised(const at::Tensor& weight, const std::vector<int64_t>& channels = {},
                                              const at::Tensor& smoothing = {}, at::ScalarType dtype = at::kFloat) {
  return c10::make_intrusive<QuantisedWeight>(quantiseWeight(weight, channels, smoothing), QuantisedProduct::vnni,
                                              ActivationScope::token, dtype);
}

double error(const at::Tensor& found, const at::Tensor& wanted) {
  return ((found.to(at::kFloat) - wanted).norm() / wanted.norm()).item<double>();
}

const auto kWeight = (at::manual_seed(3), at::randn({33, 48}) * 0.2);
const auto kBias = at::randn({33});
const auto kX = at::randn({2, 5, 48});

}  // namespace

TEST_CASE("a layer that is too wide for sums of whole numbers is refused before any is done, with what works") {
  auto unit = std::make_shared<torch::jit::CompilationUnit>();
  torch::jit::Module root("__torch__.Root", unit, true), container("__torch__.Container", unit, true),
      block("__torch__.Block", unit, true);
  for (const auto& [name, inputs] : {std::pair("narrow", 4), std::pair("wide", 65537)}) {
    torch::jit::Module layer(std::string("__torch__.") + name, unit, true);
    layer.register_parameter("weight", at::ones({inputs == 4 ? 65537 : 4, inputs}), false);
    layer.define("def forward(self, x: Tensor) -> Tensor:\n    return torch.linear(x, self.weight)\n");
    block.register_module(name, layer);
  }
  block.define("def forward(self, x: Tensor) -> Tensor:\n    return self.wide.forward(self.narrow.forward(x))\n");
  container.register_module("first", block);
  root.register_module("blocks", container);
  root.define("def forward(self, x: Tensor) -> Tensor:\n    return self.blocks.first.forward(x)\n");
  const auto quantised = [&](QuantisedProduct product, const std::vector<std::string>& keep) {
    const auto flat = flatten(root, {{"blocks.*", {"image"}}}, at::kCPU, /*allowAllOperators=*/false);
    Quantisation quantisation;
    quantisation.keep = keep;
    return quantiseLinears(*flat.graph, flat.sites, WeightNames(root), {true}, quantisation,
                           {product, at::kCPU, at::kCPU, at::kFloat});
  };
  registerOperators();
  REQUIRE_CODE("PRECISION_UNAVAILABLE", quantised(QuantisedProduct::vnni, {}));
  REQUIRE_CODE("PRECISION_UNAVAILABLE", quantised(QuantisedProduct::intMatmul, {}));
  REQUIRE(quantised(QuantisedProduct::dequantised, {}).layers.size() == 2);
  REQUIRE(quantised(QuantisedProduct::scaledMatmul, {}).layers.size() == 2);
  const auto kept = quantised(QuantisedProduct::intMatmul, {"blocks.first.wide"});
  REQUIRE(kept.layers.at(0).path == "blocks.first.narrow");
  REQUIRE((kept.kept == std::vector<std::string>{"blocks.first.wide"}));
  REQUIRE_CODE("BAD_OPTION", quantised(QuantisedProduct::intMatmul, {"blocks.second.*"}));
}

namespace {

// A block of one weight [12, 4], that its layers read by `forward`.
struct OneWeight {
  explicit OneWeight(const std::string& forward) {
    registerOperators();
    auto unit = std::make_shared<torch::jit::CompilationUnit>();
    torch::jit::Module container("__torch__.PartContainer", unit, true), block("__torch__.PartBlock", unit, true);
    root = torch::jit::Module("__torch__.PartRoot", unit, true);
    block.register_parameter("weight", at::arange(48, at::kFloat).view({12, 4}) / 10, false);
    block.define("def forward(self, x: Tensor) -> Tensor:\n    " + forward + "\n");
    container.register_module("first", block);
    root.register_module("blocks", container);
    root.define("def forward(self, x: Tensor) -> Tensor:\n    return self.blocks.first.forward(x)\n");
  }
  FlatModel flat() const { return flatten(root, {{"blocks.*", {"image"}}}, at::kCPU, /*allowAllOperators=*/false); }
  at::Tensor weight() const {
    return root.attr("blocks").toModule().attr("first").toModule().attr("weight").toTensor();
  }

  torch::jit::Module root{"__torch__.None"};
};

}  // namespace

TEST_CASE("a part of a weight, or its transpose, is not taken for the weight") {
  for (const char* forward :
       {"q, kv = self.weight.split([4, 8])\n    return torch.linear(x, q) + torch.linear(x, kv)[..., :4]",
        "return torch.linear(torch.linear(x, self.weight), self.weight.t())"}) {
    OneWeight model(forward);
    const auto before = model.weight().clone();
    const auto flat = model.flat();
    for (const auto& layer : quantisableLayers(*flat.graph, flat.sites, WeightNames(model.root), {true})) {
      REQUIRE((std::pair(layer.outputs, layer.inputs) == std::pair(int64_t{12}, int64_t{4})));
    }
    for (const auto& layer : storeLinears(model.root, *flat.graph, flat.sites, {true}, {})) {
      REQUIRE(layer.layer.outputs == 12);
    }
    REQUIRE(model.weight().sizes() == before.sizes());
    const auto inventory = weightInventory(model.root, model.flat(), {true});
    REQUIRE(inventory.blocks.at(0).linear + inventory.blocks.at(0).others + inventory.integerBytes == 48);
  }
}

TEST_CASE("what is to wait on the host does so from the moment when it is quantised") {
  OneWeight model("return torch.linear(x, self.weight)");
  const auto flat = model.flat();
  const auto report = quantiseLinears(*flat.graph, flat.sites, WeightNames(model.root), {true}, {},
                                      {QuantisedProduct::dequantised, at::kCPU, at::kMeta, at::kFloat});
  REQUIRE(report.layers.size() == 1);
  int found = 0;
  for (const auto* constant : nodesOfKind(*flat.graph, c10::prim::Constant)) {
    const auto value = torch::jit::toIValue(constant->output());
    if (!value || !value->isCustomClass()) continue;
    for (const auto& tensor : movableTensors(*value)) found += tensor.is_meta() ? 1 : 100;
  }
  REQUIRE(found == 1);
}

TEST_CASE("float16: GELU of the result as it is rounded, as where a hook reads it in between") {
  if (!isHere()) return;
  const auto weight = quantised(kWeight * 8, {}, {}, at::kHalf);
  const auto plain = quantisedLinear(kX.to(at::kHalf), weight, kBias, "none");
  REQUIRE((plain.scalar_type() == at::kHalf));
  const auto all = quantisedLinear(kX.to(at::kHalf), weight, kBias, "gelu_tanh");
  REQUIRE(at::equal(all, fastGelu(plain)));
  const auto numbers = at::linspace(-8, -4, 4700).to(at::kHalf), each = fastGelu(numbers);
  for (int64_t i = 0; i < 4700; i += 47) REQUIRE(fastGelu(numbers.narrow(0, i, 1)).equal(each.narrow(0, i, 1)));
}

TEST_CASE("a quantised layer is near the plain one") {
  if (!isHere()) return;
  const auto wanted = at::linear(kX, kWeight, kBias);
  REQUIRE(error(quantisedLinear(kX, quantised(kWeight), kBias, "none"), wanted) < 0.015);
  REQUIRE(error(quantisedLinear(kX, quantised(kWeight), std::nullopt, "none"), at::linear(kX, kWeight)) < 0.015);
  const auto half = quantised(kWeight, {}, {}, at::kBFloat16);
  const auto found = quantisedLinear(kX.to(at::kBFloat16), half, kBias.to(at::kBFloat16), "none");
  REQUIRE((found.scalar_type() == at::kBFloat16));
  REQUIRE(error(found, wanted) < 0.02);
  const auto gelu = quantisedLinear(kX, quantised(kWeight), kBias, "gelu_tanh");
  REQUIRE(error(gelu, at::gelu(wanted, "tanh")) < 0.02);
}

TEST_CASE("whole numbers that fit are multiplied exactly") {
  if (!isHere()) return;
  // Ranges of 255 and weights up to 127: every scale is 1.
  auto weight = at::randint(-127, 128, {6, 40}).to(at::kFloat);
  weight.select(1, 0).fill_(127);
  auto x = at::randint(0, 256, {7, 40}).to(at::kFloat) - 100;
  x.select(1, 1).fill_(-100);
  x.select(1, 2).fill_(155);
  REQUIRE(quantisedLinear(x, quantised(weight), std::nullopt, "none").equal(at::linear(x, weight)));
}

TEST_CASE("a channel that is kept does not take the range of the others") {
  if (!isHere()) return;
  auto x = kX.clone();
  x.select(2, 7).mul_(300);
  const auto wanted = at::linear(x, kWeight, kBias);
  auto others = wanted - x.select(2, 7).unsqueeze(2) * kWeight.select(1, 7);
  const auto without = quantisedLinear(x, quantised(kWeight), kBias, "none") - wanted;
  const auto with = quantisedLinear(x, quantised(kWeight, {7}), kBias, "none") - wanted;
  REQUIRE((with.norm() / others.norm()).item<double>() < 0.015);
  REQUIRE(without.norm().item<double>() > 20 * with.norm().item<double>());
}

TEST_CASE("smoothing changes nothing but the rounding") {
  if (!isHere()) return;
  auto x = kX.clone();
  x.select(2, 7).mul_(100);
  auto smoothing = at::ones({48});
  smoothing[7] = 30;
  const auto wanted = at::linear(x, kWeight, kBias);
  const double smoothed = error(quantisedLinear(x, quantised(kWeight, {}, smoothing), kBias, "none"), wanted);
  REQUIRE(smoothed < 0.03);
  REQUIRE(smoothed < error(quantisedLinear(x, quantised(kWeight), kBias, "none"), wanted));
}

TEST_CASE("a row does not depend on the others, a picture not on its neighbours") {
  if (!isHere()) return;
  const auto all = quantisedLinear(kX, quantised(kWeight, {3}), kBias, "gelu_tanh");
  const auto one = quantisedLinear(kX[1][2], quantised(kWeight, {3}), kBias, "gelu_tanh");
  REQUIRE(one.equal(all[1][2]));
  const auto picture = c10::make_intrusive<QuantisedWeight>(quantiseWeight(kWeight, {}, {}), QuantisedProduct::vnni,
                                                            ActivationScope::picture, at::kFloat);
  REQUIRE(quantisedLinear(kX.narrow(0, 1, 1), picture, kBias, "none")[0].equal(
      quantisedLinear(kX, picture, kBias, "none")[1]));
}

TEST_CASE("GELU in the last pass is GELU on its own, to the last bit") {
  if (!isHere()) return;
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const auto weight = quantised(kWeight, {}, {}, dtype);
    const auto x = kX.to(dtype);
    const auto fused = quantisedLinear(x, weight, kBias.to(dtype), "gelu_tanh");
    REQUIRE(fused.equal(fastGelu(quantisedLinear(x, weight, kBias.to(dtype), "none"))));
  }
}

TEST_CASE("a layer that adds itself to the hidden state gives what the separate operators give, to the last bit") {
  if (!isHere()) return;
  for (const auto dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const auto random = [dtype](at::IntArrayRef sizes) { return at::randn(sizes).to(dtype); };
    const auto weight = quantised(kWeight, {3}, {}, dtype);
    const auto x = random({3, 100, 48}), hidden = random({3, 100, 33}), bias = kBias.to(dtype);
    for (const auto& gate : {random({3, 4, 33}).narrow(1, 2, 1), random({1, 1, 33}), random({3, 100, 33})}) {
      REQUIRE(quantisedResidual(x, weight, bias, hidden, gate)
                  .equal(gatedResidual(hidden, gate, quantisedLinear(x, weight, bias, "none"))));
    }
  }
}

TEST_CASE("the fast GELU is GELU") {
  const auto x = at::cat({at::linspace(-12, 12, 4801), at::tensor({-1e30f, 1e30f, 0.0f, -90.0f, 90.0f})});
  const auto wanted = at::gelu(x.to(at::kDouble), "tanh");
  REQUIRE((fastGelu(x).to(at::kDouble) - wanted).abs().max().item<double>() < 2e-6);
  REQUIRE(fastGelu(at::tensor({std::numeric_limits<float>::quiet_NaN()})).isnan().item<bool>());
  const auto half = x.narrow(0, 0, 4801).to(at::kBFloat16);
  REQUIRE(at::allclose(fastGelu(half).to(at::kFloat), at::gelu(half.to(at::kFloat), "tanh"), 8e-3, 1e-6));
}

TEST_CASE("what is not finite stays visible, what is zero or tiny stays so, nothing is fine too") {
  if (!isHere()) return;
  auto x = kX.clone();
  x[0][1][4] = std::numeric_limits<float>::quiet_NaN();
  x[1][0][9] = -std::numeric_limits<float>::infinity();
  const auto found = quantisedLinear(x, quantised(kWeight), kBias, "none");
  REQUIRE(found[0][1].isnan().all().item<bool>());
  REQUIRE(found[1][0].isnan().all().item<bool>());
  REQUIRE(found[0][0].isfinite().all().item<bool>());
  REQUIRE(quantisedLinear(at::zeros({2, 48}), quantised(kWeight), kBias, "none").equal(kBias.expand({2, 33})));
  const auto huge = quantisedLinear(at::full({1, 48}, 3e38), quantised(at::ones({2, 48}) * 1e-3), std::nullopt, "none");
  REQUIRE(huge.isfinite().all().item<bool>());
  REQUIRE(quantisedLinear(at::full({1, 48}, 1e-40), quantised(kWeight), std::nullopt, "none")
              .isfinite()
              .all()
              .item<bool>());
  const auto nothing = quantisedLinear(at::zeros({0, 48}), quantised(kWeight), kBias, "none");
  REQUIRE((nothing.sizes() == at::IntArrayRef({0, 33})));
  REQUIRE(quantisedLinear(kX, quantised(at::zeros({33, 48})), kBias, "none").equal(kBias.expand({2, 5, 33})));
}
