// Layers on this package's own product: near float32's, row by row the same, for sides that fit no tile.
#include "native/core/operators/tile_product.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>

#include <limits>
#include <vector>

#include "native/core/operators/modulation.h"
#include "native/core/operators/packed_linear.h"
#include "native/core/operators/panels.h"
#include "test/native/packed_dtypes.h"
#include "test/native/product_ways.h"
#include "test/native/testing.h"

using namespace dg;

namespace {

struct Sides {
  int64_t rows, inputs, outputs;
};

// Those of many inputs are summed in more than one part.
const std::vector<Sides> kSides{{1, 2, 1},     {1, 4, 16},      {7, 6, 17},     {17, 62, 64},  {6, 384, 65},
                                {5, 130, 128}, {2, 34, 130},    {300, 8, 15},   {3, 1536, 80}, {13, 64, 2304},
                                {257, 32, 33}, {20, 1702, 150}, {400, 1602, 70}};

struct Layer {
  explicit Layer(const Sides& sides, at::ScalarType dtype = at::kBFloat16)
      : x(at::randn({sides.rows, sides.inputs}).to(dtype)),
        weight(at::randn({sides.outputs, sides.inputs}).div(8).to(dtype)),
        bias(at::randn({sides.outputs}).to(dtype)),
        packed(c10::make_intrusive<PackedWeight>(weight)) {}

  at::Tensor run(const at::Tensor& rows, bool hasBias, const std::string& activation = "none") const {
    return packedLinear(rows, packed, hasBias ? std::optional(bias) : std::nullopt, activation);
  }

  at::Tensor wanted(bool hasBias) const {
    return at::linear(x.to(at::kFloat), weight.to(at::kFloat),
                      hasBias ? std::optional(bias.to(at::kFloat)) : std::nullopt);
  }

  // What sums in float32 may differ by.
  at::Tensor slack() const { return at::linear(x.to(at::kFloat).abs(), weight.to(at::kFloat).abs()) * 4e-6 + 1e-6; }

  at::Tensor x, weight, bias;
  c10::intrusive_ptr<PackedWeight> packed;
};

// Within one rounding to the layer's dtype.
void requireRounded(const at::Tensor& found, const at::Tensor& wanted, const at::Tensor& slack) {
  const auto most = wanted.abs() * (found.scalar_type() == at::kBFloat16 ? 0x1.1p-8 : 0x1p-22) + slack;
  REQUIRE((found.to(at::kFloat) - wanted).abs().le(most).all().item<bool>());
}

bool isPacked() {
  if (test::packedDtypes().back() == at::kBFloat16) return true;
  DOCTEST_MESSAGE("oneDNN packs no bfloat16 weights on this processor");
  return false;
}

}  // namespace

TEST_CASE_IN_EACH_WAY("which product a layer has is a matter of the processor and of its width") {
  const auto isOwn = [](int64_t inputs, at::ScalarType dtype) {
    return PackedWeight(at::randn({5, inputs}).to(dtype)).isInPanels();
  };
  if (isPacked()) {
    REQUIRE(isOwn(6, at::kBFloat16) == hasOwnProduct(at::kBFloat16));
    REQUIRE(!isOwn(7, at::kBFloat16));
  }
  REQUIRE(isOwn(7, at::kFloat) == hasOwnProduct(at::kFloat));
}

TEST_CASE_IN_EACH_WAY("a layer is float32's, rounded once") {
  at::manual_seed(5);
  for (size_t k = 0; k < 2 * kSides.size(); ++k) {
    const auto sides = kSides[k / 2];
    const auto dtype = k % 2 == 0 ? at::kFloat : at::kBFloat16;
    if (dtype == at::kBFloat16 && !isPacked()) continue;
    CAPTURE(dtype);
    CAPTURE(sides.rows);
    CAPTURE(sides.inputs);
    CAPTURE(sides.outputs);
    const Layer layer(sides, dtype);
    REQUIRE((layer.run(layer.x, true).scalar_type() == dtype));
    for (const bool hasBias : {true, false}) {
      const auto wanted = layer.wanted(hasBias);
      requireRounded(layer.run(layer.x, hasBias), wanted, layer.slack());
      // The slope of an activation is at most 1.13.
      const auto slack = 2 * layer.slack();
      requireRounded(layer.run(layer.x, hasBias, "gelu"), at::gelu(wanted), slack);
      requireRounded(layer.run(layer.x, hasBias, "gelu_tanh"), at::gelu(wanted, "tanh"), slack);
      requireRounded(layer.run(layer.x, hasBias, "swish"), at::silu(wanted), slack);
    }
  }
}

TEST_CASE_IN_EACH_WAY("a row depends neither on the other rows nor on the threads") {
  for (const auto dtype : test::packedDtypes()) {
    const Layer layer({300, 1702, 270}, dtype);  // worth seven threads
    const auto all = layer.run(layer.x, true, "gelu_tanh");
    for (const int64_t row : {0, 5, 6, 131, 299}) {
      REQUIRE(layer.run(layer.x.narrow(0, row, 1), true, "gelu_tanh").equal(all.narrow(0, row, 1)));
    }
    for (const int64_t rows : {2, 7, 40, 130}) {
      REQUIRE(layer.run(layer.x.narrow(0, 0, rows), true, "gelu_tanh").equal(all.narrow(0, 0, rows)));
    }
    const int threads = at::get_num_threads();
    for (const int some : {1, 3, 7}) {
      at::set_num_threads(some);
      const auto shared = layer.run(layer.x, true, "gelu_tanh");
      at::set_num_threads(threads);
      REQUIRE(shared.equal(all));
    }
  }
}

TEST_CASE_IN_EACH_WAY(
    "a product that adds itself to the hidden state gives what the separate operators give, to the last bit") {
  for (const auto dtype : test::packedDtypes()) {
    const auto random = [dtype](at::IntArrayRef sizes) { return at::randn(sizes).to(dtype); };
    for (const auto& [tokens, inputs, outputs] :
         {Sides{9, 20, 33}, {64, 96, 128}, {1, 8, 16}, {130, 7, 24}, {130, 8, 24}}) {
      CAPTURE(tokens);
      const Layer layer({3 * tokens, inputs, outputs}, dtype);
      const auto x = layer.x.view({3, tokens, inputs}), hidden = random({3, tokens, outputs});
      const auto gates = random({3, 4, outputs});
      for (const auto& gate : {gates.narrow(1, 2, 1), random({1, 1, outputs}), random({3, tokens, outputs})}) {
        const auto expected = gatedResidual(hidden, gate, packedLinear(x, layer.packed, layer.bias, "none"));
        REQUIRE(packedResidual(x, layer.packed, layer.bias, hidden, gate).equal(expected));
        const auto strided = hidden.transpose(0, 1).contiguous().transpose(0, 1);
        REQUIRE(packedResidual(x, layer.packed, layer.bias, strided, gate).equal(expected));
      }
    }
  }
}

TEST_CASE_IN_EACH_WAY("a layer that makes its norm gives what the separate operators give, to the last bit") {
  at::manual_seed(9);
  for (const auto dtype : test::packedDtypes()) {
    const auto random = [dtype](at::IntArrayRef sizes) { return at::randn(sizes).to(dtype); };
    for (const auto& [tokens, inputs, outputs] : {Sides{9, 20, 33}, {130, 1602, 150}}) {
      const Layer layer({1, inputs, outputs}, dtype);
      const auto hidden = random({3, tokens, inputs}), several = random({3, 4, inputs});
      for (const auto& affine : {std::optional<at::Tensor>(), std::optional(random({inputs}))}) {
        for (const auto& scale : {several.narrow(1, 2, 1), random({1, 1, inputs})}) {
          const auto rows = modulatedLayerNorm(hidden, {inputs}, affine, affine, 1e-6, scale, several.narrow(1, 0, 1));
          for (const auto* activation : {"none", "gelu_tanh", "gelu"}) {
            const auto found = packedModulated(hidden, {inputs}, affine, affine, 1e-6, scale, several.narrow(1, 0, 1),
                                               layer.packed, layer.bias, activation);
            REQUIRE(found.equal(packedLinear(rows, layer.packed, layer.bias, activation)));
          }
        }
      }
    }
  }
}

TEST_CASE_IN_EACH_WAY("one number has the bits that it has among others") {
  for (const auto* activation : {"none", "gelu", "gelu_tanh", "swish"}) {
    const Layer layer({40, 8, 1}, at::kFloat);
    const auto all = layer.run(layer.x, true, activation);
    for (int64_t row = 0; row < 40; ++row) {
      const auto one = layer.run(layer.x.narrow(0, row, 1), true, activation);
      REQUIRE(one.equal(all.narrow(0, row, 1)));
    }
  }
}

TEST_CASE_IN_EACH_WAY("what is not a number makes its row so, and no other") {
  for (const auto dtype : test::packedDtypes()) {
    Layer layer({7, 20, 33}, dtype);
    layer.x[3][4] = std::numeric_limits<float>::quiet_NaN();
    const auto found = layer.run(layer.x, true, "gelu_tanh").isnan();
    REQUIRE(found[3].all().item<bool>());
    REQUIRE(found.sum().item<int64_t>() == 33);
  }
}

TEST_CASE_IN_EACH_WAY("rows of any shape, strided ones and none") {
  if (!isPacked()) return;
  const Layer layer({24, 16, 9});
  const auto flat = layer.run(layer.x, true);
  REQUIRE(layer.run(layer.x.view({2, 3, 4, 16}), true).equal(flat.view({2, 3, 4, 9})));
  REQUIRE(layer.run(layer.x[5], true).equal(flat[5]));
  REQUIRE(layer.run(layer.x.t().contiguous().t(), true).equal(flat));
  REQUIRE((layer.run(layer.x.narrow(0, 0, 0), true).sizes() == at::IntArrayRef({0, 9})));
  DOCTEST_REQUIRE_THROWS(layer.run(at::ones({2, 15}, at::kBFloat16), true));
}

TEST_CASE_IN_EACH_WAY("a bias of one number is that of all outputs, and another that does not fit is refused") {
  for (const auto dtype : test::packedDtypes()) {
    const Layer layer({9, 16, 33}, dtype);
    const auto run = [&](const at::Tensor& bias) { return packedLinear(layer.x, layer.packed, bias, "none"); };
    const auto one = at::full({1}, 0.5, layer.x.options());
    if (!layer.packed->isInPanels()) continue;
    REQUIRE(run(one).equal(run(one.expand({33}).contiguous())));
    DOCTEST_REQUIRE_THROWS(run(at::ones({32}, layer.x.options())));
  }
}

TEST_CASE("panels give back the matrix") {
  for (const auto& [outputs, rowBytes] :
       {std::pair{1, 1}, {16, 4}, {17, 6}, {33, 130}, {5, 7}, {64, 8}, {128, 7}, {150, 6}}) {
    const auto matrix = at::randint(0, 256, {outputs, rowBytes}, at::kByte);
    auto panels = at::full({panelBytes(outputs, rowBytes)}, 77, at::kByte);
    packPanels(panels.data_ptr(), matrix.const_data_ptr(), outputs, rowBytes);
    REQUIRE(panels.to(at::kLong).sum().equal(matrix.to(at::kLong).sum()));  // 0 beyond the sides
    auto back = at::empty_like(matrix);
    unpackPanels(back.data_ptr(), panels.const_data_ptr(), outputs, rowBytes);
    REQUIRE(back.equal(matrix));
  }
}
