// Statistics of hidden states: the processor's own loops against libtorch's operators and against definitions.
#include "native/core/recording/statistics.h"

#include <ATen/Functions.h>

#include <cmath>
#include <limits>

#include "native/core/hooks/attention_mass.h"
#include "native/core/sampling/sampler.h"
#include "test/native/testing.h"

using namespace dg;

namespace {

const Statistics everything{true, {0, 12.5, 50, 99.9, 100}, true, 3};

at::Tensor floats(const at::Tensor& words, int64_t from, int64_t count) {
  return words.narrow(1, from, count).contiguous().view(at::kFloat);
}

bool same(const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-5, 1e-6, /*equal_nan=*/true); }

// What both ways of computing must give; the parts are told apart by their place.
void compare(const at::Tensor& hidden, const Statistics& what) {
  const int64_t tokens = hidden.size(1), channels = hidden.size(2);
  const auto a = statisticsOf(hidden, what), b = statisticsByOperators(hidden, what);
  REQUIRE(a.sizes().equals(b.sizes()));
  REQUIRE(a.size(1) == wordsFor(what, tokens, channels));
  const int64_t top = std::min(what.top, tokens * channels);
  const int64_t beforeTop = a.size(1) - 1 - 3 * top;
  REQUIRE(same(floats(a, 0, beforeTop), floats(b, 0, beforeTop)));
  REQUIRE(a.narrow(1, beforeTop, 2 * top).equal(b.narrow(1, beforeTop, 2 * top)));
  REQUIRE(same(floats(a, beforeTop + 2 * top, top), floats(b, beforeTop + 2 * top, top)));
  REQUIRE(a.select(1, a.size(1) - 1).equal(b.select(1, b.size(1) - 1)));
}

void definitions() {
  const auto z = gaussian(3, {2, 50, 20});
  const auto words = statisticsOf(z, everything);
  const auto magnitude = z.abs();
  REQUIRE(floats(words, 0, 20).equal(magnitude.amax(1)));
  REQUIRE(same(floats(words, 20, 20), magnitude.mean(1)));
  REQUIRE(same(floats(words, 40, 20), magnitude.quantile(0.5, 1)));
  REQUIRE(same(floats(words, 60, 20), (z - z.mean(1, true)).square().mean(1)));
  for (size_t k = 0; k < everything.percentiles.size(); ++k) {
    const auto expected = magnitude.quantile(everything.percentiles[k] / 100, 1);
    REQUIRE(same(floats(words, 80 + 20 * static_cast<int64_t>(k), 20), expected));
  }
  REQUIRE(same(floats(words, 180, 50), z.square().sum(2).sqrt()));
  const auto token = words[1][230].item<int>(), channel = words[1][233].item<int>();
  REQUIRE(z[1][token][channel].abs().equal(magnitude[1].max()));
  REQUIRE(words.select(1, words.size(1) - 1).eq(0).all().item<bool>());
}

void notFinite() {
  auto z = gaussian(4, {1, 33, 24});
  z[0][3][5] = std::numeric_limits<float>::quiet_NaN();
  z[0][8][17] = -std::numeric_limits<float>::infinity();
  const Statistics what{true, {90}, false, 0};
  const auto words = statisticsOf(z, what);
  REQUIRE(words[0][words.size(1) - 1].item<int>() == 2);
  for (const int64_t part : {0, 1, 2, 3, 4}) REQUIRE(std::isnan(floats(words, 24 * part + 5, 1).item<float>()));
  REQUIRE(std::isinf(floats(words, 17, 1).item<float>()));
  REQUIRE(std::isfinite(floats(words, 48 + 17, 1).item<float>()));
  REQUIRE(floats(words, 6, 11).isfinite().all().item<bool>());
  compare(z, what);
  // Counted also where nothing else is asked for.
  REQUIRE(statisticsOf(z, {}).item<int>() == 2);
}

void mass() {
  const auto q = gaussian(5, {2, 4, 7, 8}), k = gaussian(6, {2, 4, 9, 8});
  const auto expectedMass = [&](const at::Tensor& scores) { return scores.softmax(-1).mean(at::IntArrayRef{1, 2}); };
  const auto scores = at::matmul(q, k.transpose(-1, -2)) / std::sqrt(8.0);
  REQUIRE(same(attentionMass({q, k, std::nullopt, false, std::nullopt}), expectedMass(scores)));
  REQUIRE(same(attentionMass({q, k, std::nullopt, false, 0.5}), expectedMass(scores * std::sqrt(8.0) * 0.5)));
  const auto allowed = gaussian(7, {2, 1, 7, 9}) > -1;
  const auto low = -std::numeric_limits<float>::infinity();
  REQUIRE(same(attentionMass({q, k, allowed, false, std::nullopt}),
               expectedMass(scores.masked_fill(allowed.logical_not(), low))));
  const auto added = gaussian(8, {7, 9});
  REQUIRE(same(attentionMass({q, k, added, false, std::nullopt}), expectedMass(scores + added)));
  const auto causal = at::ones({7, 9}, at::kBool).tril().logical_not();
  REQUIRE(same(attentionMass({q, k, std::nullopt, true, std::nullopt}), expectedMass(scores.masked_fill(causal, low))));
  const auto fewer = k.narrow(1, 0, 2);
  const auto grouped = at::matmul(q, fewer.repeat_interleave(2, 1).transpose(-1, -2)) / std::sqrt(8.0);
  REQUIRE(same(attentionMass({q, fewer, std::nullopt, false, std::nullopt}), expectedMass(grouped)));
  const AttentionInputs both{q, k, allowed, false, std::nullopt};
  REQUIRE(same(attentionMass(rowsOf(both, 1, 1)), attentionMass(both).narrow(0, 1, 1)));
  REQUIRE_CODE("BAD_TENSOR", attentionMass({q[0], k[0], std::nullopt, false, std::nullopt}));
}

}  // namespace

TEST_CASE("definitions") { definitions(); }

TEST_CASE("values that are not finite") { notFinite(); }

TEST_CASE("attention mass") { mass(); }

TEST_CASE("one pass gives what the operators give") {
  for (const int64_t tokens : {1, 2, 3, 49, 64, 65, 300}) {
    for (const int64_t channels : {1, 15, 16, 17, 96}) {
      compare(gaussian(tokens * 100 + channels, {2, tokens, channels}) * 3 + 1, everything);
    }
  }
  compare(gaussian(9, {1, 40, 48}).to(at::kBFloat16), everything);
  compare(gaussian(10, {2, 24, 40}).transpose(1, 2), everything);
  compare(at::zeros({1, 10, 20}), {true, {30}, true, 0});
}
