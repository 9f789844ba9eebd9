#pragma once

#include <cstdint>
#include <vector>

#include "native/core/operators/channel_statistics.h"

namespace dg {

// Statistics over the tokens of a few channels at a time, on the CPU: a tile is read once and stays in the cache.

constexpr int64_t kLanes = 16;  // channels that are worked on together: a cache line of a token

// Half of the lanes: what one AVX2 register holds. For floats that are not negative, and their bits are an integer of
// the same order, so ranks are found by comparing integers.
// Aligned as their elements are, since they lie in tensors and in std::vector.
using Integers = int32_t __attribute__((vector_size(32), aligned(4)));

struct TileBits {
  Integers low, high;
};

// What one thread keeps between tiles.
struct TileScratch {
  std::vector<TileBits> bits;  // |z| of each token
  std::vector<float> padded;   // of the last tile, where channels are missing
};

// Everything about kLanes channels (or the `present` last ones) of one image. `out` is the first channel's place in
// each result: rows of `channels` floats, max, mean, the first rank (the median), variance, then the other ranks.
void tileStatistics(const float* from, int64_t channels, int64_t tokens, int64_t present,
                    const std::vector<Rank>& ranks, TileScratch& scratch, float* out, int32_t* nonFinite);

// L2 norm of each token.
void tokenNorms(const float* from, int64_t tokens, int64_t channels, float* out);

int32_t countNonFinite(const float* values, int64_t count);

}  // namespace dg
