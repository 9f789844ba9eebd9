// Attention by products of bfloat16 matrices gives what libtorch's gives, picture by picture the same.
#include "native/core/operators/attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <limits>

#include "test/native/product_ways.h"
#include "test/native/testing.h"

using namespace dg;

namespace {

// [B, H, T, D] out of one projection, as models have it: heads lie inside a token.
struct Heads {
  at::Tensor query, key, value;
};

Heads heads(int64_t queries, int64_t keys, at::ScalarType dtype, int64_t channels = 16) {
  at::manual_seed(9);
  const auto made = [&](int64_t tokens) { return at::randn({3, tokens, 4, channels}).to(dtype).transpose(1, 2); };
  return {made(queries), made(keys), made(keys)};
}

at::Tensor wanted(const Heads& given, std::optional<double> scale) {
  return at::scaled_dot_product_attention(given.query.to(at::kDouble), given.key.to(at::kDouble),
                                          given.value.to(at::kDouble), std::nullopt, 0.0, false, scale);
}

double error(const at::Tensor& found, const at::Tensor& expected) {
  return ((found.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

}  // namespace

TEST_CASE_IN_EACH_WAY("it is as near as libtorch's, nearly") {
  for (const auto& [queries, keys] : {std::pair{40, 40}, {7, 33}, {1, 1}, {16, 300}}) {
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      const auto given = heads(queries, keys, dtype);
      for (const std::optional<double> scale : {std::optional<double>(), std::optional<double>(0.7)}) {
        const auto found = attention(given.query, given.key, given.value, scale);
        REQUIRE((found.scalar_type() == dtype));
        REQUIRE(error(found, wanted(given, scale)) < (dtype == at::kFloat ? 1e-6 : 0.02));
      }
    }
  }
}

TEST_CASE_IN_EACH_WAY("heads of any width, also of those that no tile fits") {
  for (const int64_t channels : {1, 2, 15, 40, 64, 72}) {
    CAPTURE(channels);
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      const auto given = heads(100, 37, dtype, channels);
      const auto found = attention(given.query, given.key, given.value, std::nullopt);
      REQUIRE(error(found, wanted(given, std::nullopt)) < (dtype == at::kFloat ? 1e-6 : 0.02));
      // A query does not depend on the others.
      const auto one = attention(given.query.narrow(2, 93, 1), given.key, given.value, std::nullopt);
      const bool isAlone = hasOwnProduct(dtype) || (dtype == at::kBFloat16 && !hasAmx());
      if (isAlone && (dtype == at::kFloat || channels % 2 == 0)) REQUIRE(one.equal(found.narrow(2, 93, 1)));
    }
  }
}

TEST_CASE_IN_EACH_WAY("channels that do not lie side by side") {
  auto given = heads(9, 20, at::kBFloat16);
  const auto expected = attention(given.query, given.key, given.value, std::nullopt);
  given.key = given.key.transpose(2, 3).contiguous().transpose(2, 3);
  REQUIRE(error(attention(given.query, given.key, given.value, std::nullopt), expected.to(at::kDouble)) < 0.01);
}

TEST_CASE_IN_EACH_WAY("in dtypes without an own product, and beyond the caches, it is libtorch's") {
  for (const auto dtype : {at::kFloat, at::kHalf}) {
    const auto given = heads(24, 24, dtype);
    const auto found = attention(given.query, given.key, given.value, std::nullopt);
    const auto expected = at::scaled_dot_product_attention(given.query, given.key, given.value);
    REQUIRE((hasOwnProduct(dtype) ? error(found, expected.to(at::kDouble)) < 1e-6 : found.equal(expected)));
  }
  const auto large = at::randn({1, 1, 4096, 8}).to(at::kBFloat16);
  REQUIRE(attention(large, large, large, std::nullopt).equal(at::scaled_dot_product_attention(large, large, large)));
}

TEST_CASE_IN_EACH_WAY("a picture does not depend on its neighbours") {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const auto given = heads(20, 20, dtype);
    const auto all = attention(given.query, given.key, given.value, std::nullopt);
    for (int64_t row = 0; row < 3; ++row) {
      const auto one = [row](const at::Tensor& tensor) { return tensor.narrow(0, row, 1); };
      REQUIRE(attention(one(given.query), one(given.key), one(given.value), std::nullopt)[0].equal(all[row]));
    }
  }
}

TEST_CASE_IN_EACH_WAY("scores that differ widely, and what is not finite") {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    auto given = heads(20, 20, dtype);
    const auto far = attention(given.query * 100, given.key, given.value, std::nullopt);
    REQUIRE(far.isfinite().all().item<bool>());
    given.key[1][0][3][0] = std::numeric_limits<float>::quiet_NaN();
    const auto found = attention(given.query, given.key, given.value, std::nullopt);
    REQUIRE(found[1][0].isnan().all().item<bool>());
    REQUIRE(found[0].isfinite().all().item<bool>());
  }
}
