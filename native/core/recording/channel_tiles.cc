#include "native/core/recording/channel_tiles.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "native/core/operators/vectorise.h"

namespace dg {
namespace {

constexpr int32_t kInfinity = 0x7f800000;

using Floats = float __attribute__((vector_size(32), aligned(4)));

struct Tile {
  Floats low, high;
};
using Bits = TileBits;

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
  Bits magnitude{};
  for (int bit = 30; bit >= 0; --bit) {
    const Bits pivot{magnitude.low | (1 << bit), magnitude.high | (1 << bit)};
    Bits below{};
    for (int64_t token = 0; token < tokens; ++token) {
      below.low -= bits[token].low < pivot.low;
      below.high -= bits[token].high < pivot.high;
    }
    magnitude.low = below.low <= rank ? pivot.low : magnitude.low;
    magnitude.high = below.high <= rank ? pivot.high : magnitude.high;
  }
  std::memcpy(value, &magnitude, sizeof(magnitude));
  if (next == nullptr) return;
  Integers none = {};
  none += std::numeric_limits<int32_t>::max();
  Bits upTo{}, above{none, none};
  for (int64_t token = 0; token < tokens; ++token) {
    const auto& values = bits[token];
    upTo.low -= values.low <= magnitude.low;
    upTo.high -= values.high <= magnitude.high;
    const Integers low = values.low > magnitude.low ? values.low : none;
    const Integers high = values.high > magnitude.high ? values.high : none;
    above.low = low < above.low ? low : above.low;
    above.high = high < above.high ? high : above.high;
  }
  above.low = upTo.low > rank + 1 ? magnitude.low : above.low;
  above.high = upTo.high > rank + 1 ? magnitude.high : above.high;
  std::memcpy(next, &above, sizeof(above));
}

DG_VECTORISED void norms(const float* from, int64_t tokens, int64_t channels, float* out) {
  for (int64_t token = 0; token < tokens; ++token) {
    const float* z = from + token * channels;
    Tile squares{};
    int64_t channel = 0;
    for (; channel + kLanes <= channels; channel += kLanes) {
      Tile values;
      std::memcpy(&values, z + channel, sizeof(values));
      squares.low += values.low * values.low;
      squares.high += values.high * values.high;
    }
    float lanes[kLanes];
    std::memcpy(lanes, &squares, sizeof(lanes));
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    for (; channel < channels; ++channel) sum += z[channel] * z[channel];
    out[token] = std::sqrt(sum);
  }
}

DG_VECTORISED int32_t countNonFiniteBits(const int32_t* bits, int64_t count) {
  int32_t found = 0;
  for (int64_t i = 0; i < count; ++i) found += (bits[i] & 0x7fffffff) >= kInfinity;
  return found;
}

}  // namespace

void tileStatistics(const float* from, int64_t channels, int64_t tokens, int64_t present,
                    const std::vector<Rank>& ranks, TileScratch& scratch, float* out, int32_t* nonFinite) {
  auto& [bits, padded] = scratch;
  bits.resize(tokens);
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

void tokenNorms(const float* from, int64_t tokens, int64_t channels, float* out) { norms(from, tokens, channels, out); }

int32_t countNonFinite(const float* values, int64_t count) {
  return countNonFiniteBits(reinterpret_cast<const int32_t*>(values), count);
}

}  // namespace dg
