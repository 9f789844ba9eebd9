#include "native/core/recording/statistics.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "native/core/operators/vectorise.h"

namespace dg {
namespace {

constexpr int64_t kLanes = 16;  // channels that are worked on together: a cache line of a token
constexpr int32_t kInfinity = 0x7f800000;

// Half of the lanes: what one AVX2 register holds. For floats that are not negative, and their bits are an integer of
// the same order, so ranks are found by comparing integers.
// Aligned as their elements are, since they lie in tensors and in std::vector.
using Floats = float __attribute__((vector_size(32), aligned(4)));
using Integers = int32_t __attribute__((vector_size(32), aligned(4)));

struct Tile {
  Floats low, high;
};
struct Bits {
  Integers low, high;
};

// Kept apart from vector types: target_clones would pass those in different registers.
struct TileResults {
  float max[kLanes], mean[kLanes], variance[kLanes];
  int32_t nonFinite[kLanes];
};

// Copies kLanes channels, |z| as bits, and takes their sums. Tokens are summed in groups, so that the rounding error
// does not grow with their number.
DG_VECTORISED void gather(const float* from, int64_t stride, int64_t tokens, Bits* bits, TileResults* results) {
  constexpr int64_t kGroup = 64;
  Bits largest{}, nonFinite{};
  Tile magnitude{}, sum{};
  for (int64_t first = 0; first < tokens; first += kGroup) {
    Tile groupMagnitude{}, groupSum{};
    const int64_t last = std::min(tokens, first + kGroup);
    for (int64_t token = first; token < last; ++token) {
      Tile z;
      std::memcpy(&z, from + token * stride, sizeof(z));
      const Bits magnitudes{(Integers)z.low & 0x7fffffff, (Integers)z.high & 0x7fffffff};
      bits[token] = magnitudes;
      largest.low = magnitudes.low > largest.low ? magnitudes.low : largest.low;
      largest.high = magnitudes.high > largest.high ? magnitudes.high : largest.high;
      nonFinite.low -= magnitudes.low >= kInfinity;
      nonFinite.high -= magnitudes.high >= kInfinity;
      groupSum.low += z.low;
      groupSum.high += z.high;
      groupMagnitude.low += (Floats)magnitudes.low;
      groupMagnitude.high += (Floats)magnitudes.high;
    }
    magnitude.low += groupMagnitude.low;
    magnitude.high += groupMagnitude.high;
    sum.low += groupSum.low;
    sum.high += groupSum.high;
  }
  const float count = static_cast<float>(tokens);
  const Tile mean{sum.low / count, sum.high / count};
  Tile squares{};
  for (int64_t first = 0; first < tokens; first += kGroup) {
    Tile group{};
    const int64_t last = std::min(tokens, first + kGroup);
    for (int64_t token = first; token < last; ++token) {
      Tile z;
      std::memcpy(&z, from + token * stride, sizeof(z));
      const Tile distance{z.low - mean.low, z.high - mean.high};
      group.low += distance.low * distance.low;
      group.high += distance.high * distance.high;
    }
    squares.low += group.low;
    squares.high += group.high;
  }
  const Tile means{magnitude.low / count, magnitude.high / count};
  const Tile variances{squares.low / count, squares.high / count};
  std::memcpy(results->max, &largest, sizeof(largest));
  std::memcpy(results->mean, &means, sizeof(means));
  std::memcpy(results->variance, &variances, sizeof(variances));
  std::memcpy(results->nonFinite, &nonFinite, sizeof(nonFinite));
}

// In every lane the value of that rank (from 0, ascending) and the one after it. The value is the largest x with at
// most `rank` values below it; x is made bit by bit.
DG_VECTORISED void select(const Bits* bits, int64_t tokens, int32_t rank, float* value, float* next) {
  Bits found{};
  for (int bit = 30; bit >= 0; --bit) {
    const Bits pivot{found.low | (1 << bit), found.high | (1 << bit)};
    Bits below{};
    for (int64_t token = 0; token < tokens; ++token) {
      below.low -= bits[token].low < pivot.low;
      below.high -= bits[token].high < pivot.high;
    }
    found.low = below.low <= rank ? pivot.low : found.low;
    found.high = below.high <= rank ? pivot.high : found.high;
  }
  std::memcpy(value, &found, sizeof(found));
  if (next == nullptr) return;
  Integers none = {};
  none += std::numeric_limits<int32_t>::max();
  Bits upTo{}, above{none, none};
  for (int64_t token = 0; token < tokens; ++token) {
    const auto& each = bits[token];
    upTo.low -= each.low <= found.low;
    upTo.high -= each.high <= found.high;
    const Integers low = each.low > found.low ? each.low : none;
    const Integers high = each.high > found.high ? each.high : none;
    above.low = low < above.low ? low : above.low;
    above.high = high < above.high ? high : above.high;
  }
  above.low = upTo.low > rank + 1 ? found.low : above.low;
  above.high = upTo.high > rank + 1 ? found.high : above.high;
  std::memcpy(next, &above, sizeof(above));
}

DG_VECTORISED void norms(const float* from, int64_t tokens, int64_t channels, float* out) {
  for (int64_t token = 0; token < tokens; ++token) {
    const float* z = from + token * channels;
    Tile squares{};
    int64_t channel = 0;
    for (; channel + kLanes <= channels; channel += kLanes) {
      Tile each;
      std::memcpy(&each, z + channel, sizeof(each));
      squares.low += each.low * each.low;
      squares.high += each.high * each.high;
    }
    float lanes[kLanes];
    std::memcpy(lanes, &squares, sizeof(lanes));
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    for (; channel < channels; ++channel) sum += z[channel] * z[channel];
    out[token] = std::sqrt(sum);
  }
}

// Everything about kLanes channels (or the last few) of one image. `out` is the first channel's place in each result.
void channelsOf(const float* from, int64_t channels, int64_t tokens, int64_t present, const std::vector<Rank>& ranks,
                std::vector<Bits>& bits, std::vector<float>& padded, float* out, int32_t* nonFinite) {
  int64_t stride = channels;
  if (present < kLanes) {
    padded.assign(tokens * kLanes, 0);
    for (int64_t token = 0; token < tokens; ++token) {
      std::memcpy(padded.data() + token * kLanes, from + token * channels, present * sizeof(float));
    }
    from = padded.data();
    stride = kLanes;
  }
  TileResults results;
  gather(from, stride, tokens, bits.data(), &results);
  for (int64_t lane = 0; lane < present; ++lane) {
    out[lane] = results.max[lane];
    out[channels + lane] = results.mean[lane];
    out[3 * channels + lane] = results.variance[lane];
    *nonFinite += results.nonFinite[lane];
  }
  for (size_t k = 0; k < ranks.size(); ++k) {
    float value[kLanes], next[kLanes];
    const bool between = ranks[k].share > 0;
    select(bits.data(), tokens, ranks[k].index, value, between ? next : nullptr);
    // The first rank is the median's, whose place is before the variance's.
    float* to = out + (k == 0 ? 2 : 3 + static_cast<int64_t>(k)) * channels;
    for (int64_t lane = 0; lane < present; ++lane) {
      const bool moves = between && next[lane] != value[lane];
      to[lane] = moves ? value[lane] + ranks[k].share * (next[lane] - value[lane]) : value[lane];
      if (std::isnan(results.max[lane])) to[lane] = results.max[lane];
    }
  }
}

std::vector<Rank> ranksOf(const Statistics& what, int64_t tokens) {
  std::vector<Rank> ranks{rankOf(50, tokens)};
  for (const auto percentile : what.percentiles) ranks.push_back(rankOf(percentile, tokens));
  return ranks;
}

int64_t topOf(const Statistics& what, int64_t tokens, int64_t channels) {
  return std::min(what.top, tokens * channels);
}

// [images, 3 · top] as words.
at::Tensor strongest(const at::Tensor& hidden, int64_t top) {
  const auto flat = hidden.flatten(1);
  const auto index = std::get<1>(flat.abs().topk(top, 1));
  const auto values = flat.gather(1, index).contiguous();
  const int64_t channels = hidden.size(2);
  return at::cat({at::div(index, channels, "trunc").to(at::kInt), at::remainder(index, channels).to(at::kInt),
                  values.view(at::kInt)},
                 1);
}

int64_t channelWords(const Statistics& what, int64_t channels) {
  return what.channels ? (4 + static_cast<int64_t>(what.percentiles.size())) * channels : 0;
}

DG_VECTORISED int32_t countNonFinite(const int32_t* bits, int64_t count) {
  int32_t found = 0;
  for (int64_t i = 0; i < count; ++i) found += (bits[i] & 0x7fffffff) >= kInfinity;
  return found;
}

at::Tensor onProcessor(const at::Tensor& hidden, const Statistics& what) {
  const int64_t images = hidden.size(0), tokens = hidden.size(1), channels = hidden.size(2);
  const int64_t words = wordsFor(what, tokens, channels);
  auto result = at::empty({images, words}, at::TensorOptions(at::kInt));
  auto* out = result.data_ptr<int32_t>();
  const float* from = hidden.const_data_ptr<float>();
  const auto ranks = ranksOf(what, tokens);
  const int64_t tiles = what.channels ? (channels + kLanes - 1) / kLanes : 0;
  auto nonFinite = std::vector<int32_t>(images * std::max<int64_t>(tiles, 1), 0);
  // Below some ten microseconds of work another thread costs more than it gives.
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(tokens, 1));
  at::parallel_for(0, images * tiles, grain, [&](int64_t begin, int64_t end) {
    std::vector<Bits> bits(tokens);
    std::vector<float> padded;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / tiles, channel = i % tiles * kLanes;
      auto* place = reinterpret_cast<float*>(out + image * words) + channel;
      channelsOf(from + image * tokens * channels + channel, channels, tokens, std::min(kLanes, channels - channel),
                 ranks, bits, padded, place, &nonFinite[i]);
    }
  });
  for (int64_t image = 0; image < images; ++image) {
    auto* row = out + image * words;
    const float* z = from + image * tokens * channels;
    if (what.tokens) norms(z, tokens, channels, reinterpret_cast<float*>(row + channelWords(what, channels)));
    auto& count = row[words - 1];
    count = 0;
    for (int64_t tile = 0; tile < tiles; ++tile) count += nonFinite[image * tiles + tile];
    if (tiles == 0) count = countNonFinite(reinterpret_cast<const int32_t*>(z), tokens * channels);
  }
  if (const auto top = topOf(what, tokens, channels); top > 0) {
    result.narrow(1, words - 1 - 3 * top, 3 * top).copy_(strongest(hidden, top));
  }
  return result;
}

at::Tensor nonFiniteOf(const at::Tensor& z) { return z.isfinite().logical_not().sum({1, 2}).to(at::kInt); }

template <typename ChannelStatistics>
at::Tensor byOperators(const at::Tensor& hidden, const Statistics& what, ChannelStatistics channelsOfAll) {
  std::vector<at::Tensor> parts;
  const auto put = [&](const at::Tensor& floats) { parts.push_back(floats.flatten(1).contiguous().view(at::kInt)); };
  at::Tensor nonFinite;
  if (what.channels) {
    const auto [channels, found] = channelsOfAll(hidden, at::ArrayRef<double>(what.percentiles));
    put(channels);
    nonFinite = found;
  } else {
    nonFinite = nonFiniteOf(hidden);
  }
  if (what.tokens) put(hidden.norm(2, {-1}, /*keepdim=*/false, at::kFloat));
  if (const auto top = topOf(what, hidden.size(1), hidden.size(2)); top > 0) {
    parts.push_back(strongest(hidden.to(at::kFloat), top));
  }
  parts.push_back(nonFinite.unsqueeze(1));
  return at::cat(parts, 1);
}

}  // namespace

Rank rankOf(double percentile, int64_t tokens) {
  const double place = percentile / 100 * static_cast<double>(tokens - 1);
  const double below = std::floor(place);
  return {static_cast<int32_t>(below), static_cast<float>(place - below)};
}

int64_t wordsFor(const Statistics& what, int64_t tokens, int64_t channels) {
  return channelWords(what, channels) + (what.tokens ? tokens : 0) + 3 * topOf(what, tokens, channels) + 1;
}

std::tuple<at::Tensor, at::Tensor> channelStatistics(const at::Tensor& hidden, at::ArrayRef<double> percentiles) {
  const auto z = hidden.to(at::kFloat);
  const auto magnitude = z.abs();
  const auto max = magnitude.amax(1);
  const auto sorted = std::get<0>(magnitude.sort(1));
  const auto ranked = [&](double percentile) {
    const auto rank = rankOf(percentile, z.size(1));
    auto value = sorted.select(1, rank.index);
    if (rank.share > 0) {
      const auto next = sorted.select(1, rank.index + 1);
      value = at::where(next == value, value, value + (next - value) * rank.share);
    }
    return at::where(max.isnan(), max, value);
  };
  std::vector<at::Tensor> parts{max, magnitude.mean(1), ranked(50), z.var(1, /*unbiased=*/false)};
  for (const auto percentile : percentiles) parts.push_back(ranked(percentile));
  return {at::stack(parts, 1), nonFiniteOf(z)};
}

at::Tensor statisticsOf(const at::Tensor& hidden, const Statistics& what) {
  if (hidden.is_cpu() && hidden.size(1) > 0) return onProcessor(hidden.to(at::kFloat).contiguous(), what);
  static const auto channelsOnDevice =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("detail_guidance::channel_statistics", "")
          .typed<std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, at::ArrayRef<double>)>();
  return byOperators(hidden, what,
                     [](const auto& z, auto percentiles) { return channelsOnDevice.call(z, percentiles); });
}

at::Tensor statisticsByOperators(const at::Tensor& hidden, const Statistics& what) {
  return byOperators(hidden, what, channelStatistics);
}

}  // namespace dg
