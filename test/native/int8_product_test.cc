// The product of quantised layers: VNNI's tiles against plain loops, for sides that fit no tile and extreme numbers.
#include "native/core/operators/int8_product.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <limits>
#include <vector>

#include "native/core/operators/avx512.h"
#include "native/core/operators/panels.h"
#include "test/native/testing.h"

using namespace dg;

namespace {

struct Sides {
  int64_t rows, inputs, outputs, kept;
};

// A layer with given numbers, or random ones.
struct Layer {
  Layer(const Sides& sides, Activation activation, bool hasBias = true)
      : padded(paddedBytes(sides.inputs)),
        weight(at::randint(-127, 128, {sides.outputs, sides.inputs}, at::kChar)),
        x(at::randint(0, 256, {sides.rows, padded}, at::kByte)),
        scales(at::rand({sides.outputs}) * 1e-2),
        steps(at::rand({sides.rows}) * 1e-2),
        bias(at::randn({sides.outputs})),
        kept(at::randn({sides.rows, sides.kept})),
        columns(at::randn({sides.kept, sides.outputs})),
        zeroPoints(at::randint(0, 256, {sides.rows}, at::kInt)) {
    this->sides = sides;
    this->activation = activation;
    if (!hasBias) bias = at::Tensor();
  }

  template <typename T>
  at::Tensor run(void (*by)(const Int8Product&, T*)) const {
    std::vector<uint8_t> panels(panelBytes(sides.outputs, sides.inputs));
    packPanels(panels.data(), weight.const_data_ptr(), sides.outputs, sides.inputs);
    const auto sums = weight.to(at::kInt).sum(1, false, at::kInt);
    at::Tensor out = at::full({sides.rows, sides.outputs}, 77, c10::CppTypeToScalarType<T>::value);
    by({.rows = sides.rows,
        .inputs = sides.inputs,
        .outputs = sides.outputs,
        .x = x.const_data_ptr<uint8_t>(),
        .panels = panels.data(),
        .zeroPoints = zeroPoints.const_data_ptr<int32_t>(),
        .steps = steps.const_data_ptr<float>(),
        .sums = sums.const_data_ptr<int32_t>(),
        .scales = scales.const_data_ptr<float>(),
        .bias = bias.defined() ? bias.const_data_ptr<float>() : nullptr,
        .keptCount = sides.kept,
        .kept = kept.const_data_ptr<float>(),
        .columns = columns.const_data_ptr<float>(),
        .activation = activation},
       out.data_ptr<T>());
    return out;
  }

  // In float64, from the weight as it was before it was packed.
  at::Tensor wanted() const {
    const auto centred = x.narrow(1, 0, sides.inputs).to(at::kDouble) - zeroPoints.unsqueeze(1);
    auto result = at::matmul(centred, weight.to(at::kDouble).t()) * steps.unsqueeze(1) * scales;
    result = result + at::matmul(kept.to(at::kDouble), columns.to(at::kDouble));
    return bias.defined() ? result + bias : result;
  }

  Sides sides{};
  Activation activation = Activation::none;
  int64_t padded;
  at::Tensor weight, x, scales, steps, bias, kept, columns, zeroPoints;
};

// That of many inputs is summed in more than one part.
const std::vector<Sides> kSides{{1, 1, 1, 0},     {1, 4, 16, 0},    {7, 5, 17, 1},    {17, 63, 64, 2},
                                {6, 384, 65, 0},  {5, 130, 128, 3}, {2, 33, 130, 0},  {3, 6, 15, 0},
                                {4, 1536, 80, 7}, {13, 64, 192, 1}, {20, 6501, 70, 1}};

}  // namespace

TEST_CASE("the product is that of the matrices") {
  at::manual_seed(5);
  for (const auto& sides : kSides) {
    CAPTURE(sides.rows);
    CAPTURE(sides.inputs);
    CAPTURE(sides.outputs);
    for (const bool hasBias : {true, false}) {
      const Layer layer(sides, Activation::none, hasBias);
      const auto wanted = layer.wanted();
      const double most = wanted.abs().max().item<double>() + 1;
      REQUIRE((layer.run<float>(multiply) - wanted).abs().max().item<double>() < 2e-6 * most);
      REQUIRE((layer.run<float>(multiplyPlainly) - wanted).abs().max().item<double>() < 2e-6 * most);
    }
  }
}

TEST_CASE("VNNI's tiles give what plain loops give") {
  if (!hasVnni()) return;
  at::manual_seed(6);
  for (const auto& sides : kSides) {
    CAPTURE(sides.rows);
    CAPTURE(sides.outputs);
    const Layer none(sides, Activation::none);
    REQUIRE(none.run<float>(multiply).equal(none.run<float>(multiplyPlainly)));
    REQUIRE(none.run<at::BFloat16>(multiply).equal(none.run<at::BFloat16>(multiplyPlainly)));
    for (const auto activation : {Activation::geluTanh, Activation::swish}) {
      const Layer layer(sides, activation);
      REQUIRE(at::allclose(layer.run<float>(multiply), layer.run<float>(multiplyPlainly), 1e-6, 1e-6));
      REQUIRE(at::allclose(layer.run<at::BFloat16>(multiply), layer.run<at::BFloat16>(multiplyPlainly), 8e-3, 1e-6));
    }
  }
}

TEST_CASE("the largest sums are exact") {
  const Sides sides{7, 65536, 17, 0};
  Layer layer(sides, Activation::none, false);
  layer.weight.fill_(-127);
  layer.x.fill_(255);
  layer.scales.fill_(1);
  layer.steps.fill_(1);
  layer.zeroPoints.zero_();
  REQUIRE(layer.run<float>(multiply).eq(static_cast<float>(-127.0 * 255 * 65536)).all().item<bool>());
  layer.zeroPoints.fill_(255);
  REQUIRE(layer.run<float>(multiply).eq(0).all().item<bool>());
}

TEST_CASE("a step that is not a number makes its row so, and no other") {
  Layer layer({7, 20, 33, 0}, Activation::geluTanh);
  layer.steps[3] = std::numeric_limits<float>::quiet_NaN();
  const auto found = layer.run<at::BFloat16>(multiply).isnan();
  REQUIRE(found[3].all().item<bool>());
  REQUIRE(found.sum().item<int64_t>() == 33);
}
