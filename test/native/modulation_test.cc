// The fused chains give what the separate operators give, to the last bit, and step aside where they do not fit.
#include "native/core/operators/modulation.h"

#include <ATen/Functions.h>

#include <limits>

#include "native/core/operators/avx512.h"
#include "native/core/operators/layer_norm.h"
#include "test/native/product_ways.h"
#include "test/native/testing.h"

using namespace dg;

namespace {

at::Tensor separateNorm(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift) {
  return layerNorm(x, {x.size(-1)}, {}, {}, 1e-6) * scale + shift;
}

void compare(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift) {
  const auto fused = modulatedLayerNorm(x, {x.size(-1)}, {}, {}, 1e-6, scale, shift);
  REQUIRE(fused.equal(separateNorm(x, scale, shift)));
  const auto branch = at::randn(x.sizes()).to(x.scalar_type());
  REQUIRE(gatedResidual(x, scale, branch).equal(x + scale * branch));
  REQUIRE(gatedResidual(x, branch, scale).equal(x + branch * scale));
}

}  // namespace

TEST_CASE_IN_EACH_WAY("the result is that of the separate operators, to the last bit") {
  at::manual_seed(3);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const auto random = [&](at::IntArrayRef shape) { return at::randn(shape).to(dtype); };
    for (const int64_t tokens : {1, 49, 64, 65, 200}) {
      for (const int64_t channels : {8, 33, 384}) {
        const auto x = random({3, tokens, channels}) * 10;
        const auto modulation = random({3, 4, channels});
        compare(x, 1 + modulation.narrow(1, 0, 1), modulation.narrow(1, 2, 1));  // slices with a stride
        compare(x, random({1, 1, channels}), random({1, 1, channels}));
        compare(x.transpose(0, 1).contiguous().transpose(0, 1), random({3, 1, channels}), random({3, 1, channels}));
      }
    }
  }
}

TEST_CASE_IN_EACH_WAY("LayerNorm is libtorch's or within a rounding of the exact one") {
  at::manual_seed(4);
  for (const int64_t channels : {1, 2, 15, 16, 33, 384, 1152}) {
    CAPTURE(channels);
    const auto x = at::randn({2, 5, channels}) * 3 + 10;
    const auto weight = at::randn({channels}), bias = at::randn({channels});
    const auto found = layerNorm(x, {channels}, weight, bias, 1e-6);
    if (!hasOwnProduct(at::kFloat)) REQUIRE(found.equal(at::layer_norm(x, {channels}, weight, bias, 1e-6)));
    const auto exact =
        at::layer_norm(x.to(at::kDouble), {channels}, weight.to(at::kDouble), bias.to(at::kDouble), 1e-6);
    // What the mean is off by, 10 · 2⁻²⁴, is a part of what is left of few numbers.
    REQUIRE((found.to(at::kDouble) - exact).abs().le(exact.abs() * 0x1p-20 + 1e-5).all().item<bool>());
    const auto half = [](const at::Tensor& tensor) { return tensor.to(at::kBFloat16); };
    const auto wide = [&](const at::Tensor& tensor) { return half(tensor).to(at::kDouble); };
    for (const bool affine : {false, true}) {
      using Optional = std::optional<at::Tensor>;
      const auto found = layerNorm(half(x), {channels}, affine ? Optional(half(weight)) : std::nullopt,
                                   affine ? Optional(half(bias)) : std::nullopt, 1e-6);
      const auto wanted = at::layer_norm(wide(x), {channels}, affine ? Optional(wide(weight)) : std::nullopt,
                                         affine ? Optional(wide(bias)) : std::nullopt, 1e-6);
      // Elsewhere it is libtorch's own, which rounds in between.
      if (hasVnni())
        REQUIRE((found.to(at::kDouble) - wanted).abs().le(wanted.abs() * 0x1.01p-8 + 1e-4).all().item<bool>());
    }
  }
  for (const double value : {3.3, 100.7, 12345.67}) {
    const auto rows = at::full({2, 1152}, value);
    REQUIRE(layerNorm(rows, {1152}, {}, {}, 1e-6).abs().max().item<double>() == 0);
  }
  auto odd = at::randn({3, 20}).to(at::kBFloat16);
  odd[1][4] = std::numeric_limits<float>::quiet_NaN();
  const auto found = layerNorm(odd, {20}, {}, {}, 1e-6).isnan();
  REQUIRE(found[1].all().item<bool>());
  REQUIRE(found.sum().item<int64_t>() == 20);
}

TEST_CASE("the result is contiguous") {
  // What a convolution made is transposed; the chain ends that.
  const auto patches = at::randn({2, 32, 16}).transpose(1, 2), gate = at::randn({2, 1, 32});
  REQUIRE(gatedResidual(patches, gate, at::randn({2, 16, 32})).is_contiguous());
  REQUIRE(gatedResidual(patches, patches, gate).is_contiguous());
}

TEST_CASE("other shapes and dtypes are left to the separate operators") {
  compare(at::randn({2, 16, 32}), at::randn({2, 16, 32}), at::randn({32}));
  compare(at::randn({2, 16, 32}).to(at::kHalf), at::randn({2, 1, 32}).to(at::kHalf),
          at::randn({2, 1, 32}).to(at::kHalf));
}
