// Quantised layers by libtorch's products, which GPUs have too: near the plain layers, equal to VNNI's where both are
// exact, for sides that no product takes as they are.
#include "native/core/operators/quantised_matmul.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "native/core/model/operator_library.h"
#include "native/core/operators/gelu.h"
#include "native/core/operators/quantised_linear.h"
#include "test/native/testing.h"

using namespace dg;

namespace {

struct Way {
  QuantisedProduct product;
  WeightFormat format;
  double error;  // of a layer on Gaussian numbers
};
const std::vector<Way> kWays{{QuantisedProduct::intMatmul, WeightFormat::int8, 0.015},
                             {QuantisedProduct::scaledMatmul, WeightFormat::float8, 0.05},
                             {QuantisedProduct::dequantised, WeightFormat::int8, 0.01},
                             {QuantisedProduct::dequantised, WeightFormat::float8, 0.035}};

c10::intrusive_ptr<QuantisedWeight> quantised(const Way& way, const at::Tensor& weight,
                                              const std::vector<int64_t>& channels = {},
                                              const at::Tensor& smoothing = {}, at::ScalarType dtype = at::kFloat,
                                              ActivationScope scope = ActivationScope::token) {
  registerOperators();
  return c10::make_intrusive<QuantisedWeight>(quantiseWeight(weight, channels, smoothing, way.format), way.product,
                                              scope, dtype);
}

double error(const at::Tensor& found, const at::Tensor& wanted) {
  return ((found.to(at::kFloat) - wanted).norm() / wanted.norm()).item<double>();
}

const auto kWeight = (at::manual_seed(3), at::randn({33, 41}) * 0.2);
const auto kBias = at::randn({33});
const auto kX = at::randn({2, 5, 41});

// What a layer is said to compute, in plain loops over float64: of every number of the input and of the weight the one
// that stands for it.
at::Tensor byLoops(const at::Tensor& given, const at::Tensor& weight, const at::Tensor& bias,
                   const std::vector<int64_t>& channels, const Way& way) {
  const auto parts = quantiseWeight(weight, channels, {}, way.format);
  const auto x = given.reshape({-1, weight.size(1)});
  const auto values = parts.values.to(at::kDouble);
  auto out = at::zeros({x.size(0), weight.size(0)}, at::kDouble);
  const auto isKept = [&](int64_t i) { return std::find(channels.begin(), channels.end(), i) != channels.end(); };
  for (int64_t row = 0; row < x.size(0); ++row) {
    const float* from = x.const_data_ptr<float>() + row * x.size(1);
    float least = 0, largest = 0;
    for (int64_t i = 0; i < x.size(1); ++i) {
      if (isKept(i)) continue;
      least = std::min(least, from[i]);
      largest = std::max(largest, from[i]);
    }
    const float step =
        way.format == WeightFormat::int8 ? largest / 255.0f - least / 255.0f : std::max(largest, -least) / 448.0f;
    const float zeroPoint = std::nearbyint(-least / step);
    for (int64_t o = 0; o < weight.size(0); ++o) {
      double sum = bias[o].item<double>();
      for (int64_t i = 0; i < x.size(1); ++i) {
        double number = from[i];
        if (isKept(i)) {
          sum += number * weight[o][i].item<float>();
          continue;
        }
        if (way.product == QuantisedProduct::intMatmul) {
          number = (std::min(std::max(std::nearbyint(from[i] / step) + zeroPoint, 0.0f), 255.0f) - zeroPoint) * step;
        } else if (way.product == QuantisedProduct::scaledMatmul) {
          number = static_cast<float>(c10::Float8_e4m3fn(from[i] / step)) * step;
        }
        sum += number * values[o][i].item<double>() * parts.scales[o].item<double>();
      }
      out[row][o] = sum;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("a layer is what plain loops make of the numbers that stand for its own") {
  for (const auto& way : kWays) {
    CAPTURE(name(way.product));
    const auto found = quantisedLinear(kX, quantised(way, kWeight, {7, 20}), kBias, "none");
    const auto wanted = byLoops(kX, kWeight, kBias, {7, 20}, way);
    REQUIRE((found.reshape({-1, 33}) - wanted).abs().max().item<double>() < 2e-5);
  }
}

TEST_CASE("a layer is near the plain one, in every dtype, whatever its sides are") {
  for (const auto& way : kWays) {
    CAPTURE(name(way.product));
    for (const auto& [rows, inputs, outputs] :
         std::vector<std::tuple<int64_t, int64_t, int64_t>>{{1, 16, 16}, {3, 1, 1}, {40, 100, 257}, {17, 1536, 600}}) {
      CAPTURE(inputs);
      const auto weight = at::randn({outputs, inputs}), bias = at::randn({outputs}), x = at::randn({rows, inputs});
      for (const auto dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
        const auto layer = quantised(way, weight, {}, {}, dtype);
        const auto found = quantisedLinear(x.to(dtype), layer, bias.to(dtype), "none");
        REQUIRE((found.scalar_type() == dtype));
        REQUIRE((found.sizes() == at::IntArrayRef({rows, outputs})));
        REQUIRE(error(found, at::linear(x, weight, bias)) < (dtype == at::kFloat ? 1 : 1.3) * way.error + 5e-3);
      }
    }
  }
}

TEST_CASE("int8 by libtorch is VNNI's, to the last bit where no channel is kept") {
  if (withoutInt8()) return;
  registerOperators();
  const Way vnni{QuantisedProduct::vnni, WeightFormat::int8, 0};
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto scope : {ActivationScope::token, ActivationScope::picture}) {
      const auto smoothing = at::rand({41}) + 0.5;
      for (const auto& smooth : {at::Tensor(), smoothing}) {
        const auto x = kX.to(dtype), bias = kBias.to(dtype);
        const auto with = [&](const Way& way, const std::vector<int64_t>& channels) {
          return quantisedLinear(x, quantised(way, kWeight, channels, smooth, dtype, scope), bias, "none");
        };
        REQUIRE(with(kWays[0], {}).equal(with(vnni, {})));
        // The kept ones are added in another order.
        REQUIRE(at::allclose(with(kWays[0], {3, 30}), with(vnni, {3, 30}), dtype == at::kFloat ? 1e-5 : 1e-2, 1e-5));
      }
    }
  }
}

TEST_CASE("a loud channel that is kept does not take the range of the others, one that is smoothed takes less") {
  auto x = kX.clone();
  x.select(2, 7).mul_(300);
  auto smoothing = at::ones({41});
  smoothing[7] = 17;  // about the root of it
  const auto wanted = at::linear(x, kWeight, kBias);
  // Of float8 each number has digits of its own, and what is not rounded has no range.
  const Way& way = kWays[0];
  const auto with = [&](const std::vector<int64_t>& channels, const at::Tensor& smooth) {
    return (quantisedLinear(x, quantised(way, kWeight, channels, smooth), kBias, "none") - wanted)
        .norm()
        .item<double>();
  };
  REQUIRE(with({}, {}) > 20 * with({7}, {}));
  REQUIRE(with({}, {}) > 2 * with({}, smoothing));
  for (const auto& each : kWays) {
    CAPTURE(name(each.product));
    const auto both = quantisedLinear(x, quantised(each, kWeight, {7}, smoothing), kBias, "none");
    // What is left is of the quiet channels, and small against the loud one.
    REQUIRE(error(both, wanted) < 1e-3);
  }
}

TEST_CASE("a row depends on no other where its scale is its own") {
  for (const auto& way : kWays) {
    CAPTURE(name(way.product));
    auto x = kX.clone();
    const auto layer = quantised(way, kWeight, {3});
    const auto before = quantisedLinear(x, layer, kBias, "none");
    x[0][2].mul_(1000);
    const auto after = quantisedLinear(x, layer, kBias, "none");
    REQUIRE(after[1].equal(before[1]));
    REQUIRE(!after[0][2].equal(before[0][2]));
  }
}

TEST_CASE("activations behind a layer are those of its result") {
  for (const auto& way : kWays) {
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      const auto layer = quantised(way, kWeight, {3}, {}, dtype);
      const auto plain = quantisedLinear(kX.to(dtype), layer, kBias.to(dtype), "none");
      const auto with = [&](const char* activation) {
        return quantisedLinear(kX.to(dtype), layer, kBias.to(dtype), activation);
      };
      REQUIRE(with("gelu_tanh").equal(fastGelu(plain)));
      REQUIRE(with("swish").equal(at::silu(plain)));
    }
  }
}

TEST_CASE("what is not finite stays visible, what is zero or tiny stays so, nothing is fine too") {
  for (const auto& way : kWays) {
    CAPTURE(name(way.product));
    auto x = kX.clone();
    x[0][1][4] = std::numeric_limits<float>::quiet_NaN();
    x[1][0][9] = -std::numeric_limits<float>::infinity();
    const auto layer = quantised(way, kWeight);
    const auto found = quantisedLinear(x, layer, kBias, "none");
    REQUIRE(found[0][1].isfinite().logical_not().all().item<bool>());
    REQUIRE(found[1][0].isfinite().logical_not().all().item<bool>());
    REQUIRE(found[0][0].isfinite().all().item<bool>());
    REQUIRE(quantisedLinear(at::zeros({2, 41}), layer, kBias, "none").equal(kBias.expand({2, 33})));
    REQUIRE(quantisedLinear(at::full({1, 41}, 1e-40), layer, std::nullopt, "none").isfinite().all().item<bool>());
    REQUIRE((quantisedLinear(at::zeros({0, 41}), layer, kBias, "none").sizes() == at::IntArrayRef({0, 33})));
    const auto zeros = quantised(way, at::zeros({33, 41}));
    REQUIRE(quantisedLinear(kX, zeros, kBias, "none").equal(kBias.expand({2, 5, 33})));
  }
}

TEST_CASE("a device has a product, or says what it has") {
  const at::Device cpu(at::kCPU), cuda(at::kCUDA, 0);
  const auto int8 = WeightFormat::int8, float8 = WeightFormat::float8;
  for (const auto scope : {ActivationScope::token, ActivationScope::picture}) {
    REQUIRE((productFor(cuda, 80, int8, scope) == QuantisedProduct::intMatmul));
    REQUIRE((productFor(cuda, 89, float8, scope) == QuantisedProduct::scaledMatmul));
    REQUIRE((productFor(cuda, 120, float8, scope) == QuantisedProduct::scaledMatmul));
    REQUIRE((productFor(cpu, std::nullopt, float8, scope) == QuantisedProduct::scaledMatmul));
    REQUIRE_CODE("PRECISION_UNAVAILABLE", productFor(cuda, 75, int8, scope));
    REQUIRE_CODE("PRECISION_UNAVAILABLE", productFor(cuda, 86, float8, scope));
    REQUIRE_CODE("PRECISION_UNAVAILABLE", productFor(cuda, std::nullopt, int8, scope));
    REQUIRE_CODE("PRECISION_UNAVAILABLE", productFor(at::Device(at::kMeta), std::nullopt, float8, scope));
  }
  for (const auto format : {int8, float8}) {
    REQUIRE((productFor(cuda, 50, format, ActivationScope::none) == QuantisedProduct::dequantised));
    REQUIRE((productFor(cpu, std::nullopt, format, ActivationScope::none) == QuantisedProduct::dequantised));
  }
  const auto message = [&](int capability, bool isStored = false) {
    try {
      productFor(cuda, capability, float8, ActivationScope::token, isStored);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  REQUIRE(
      message(86).find("compute capability 8.6, and they need 8.9. What works: weights 'int8', activations 'none'") !=
      std::string::npos);
  REQUIRE(message(75).find("'int8'") == std::string::npos);
  REQUIRE(message(86, true).find("the bundle that this one was made of") != std::string::npos);
}
