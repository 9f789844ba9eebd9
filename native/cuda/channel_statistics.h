#pragma once

#include <cstdint>

#include "native/cuda/kernels.h"

namespace dg::cuda {

inline constexpr int kMostRanks = 16;

// Of every channel of z[image], over the tokens, float32: out[image] = max |z|, mean |z|, median |z|, variance of z,
// then the other ranks of |z|, [3 + ranks, channels]. A rank's value is that at place `index` of |z| in ascending
// order, by `share` of the way to the next one; the first rank's is the one that lies before the variance.
// nonFinite[image], zeroed before, counts values that are NaN or infinite; a channel with a NaN has NaN in all its
// results. Channels have stride 1; no alignment is asked.
struct ChannelStatistics {
  Scalar dtype;
  const void* z;
  float* out;
  int32_t* nonFinite;
  int64_t images, tokens, channels, imageStride, tokenStride;
  int32_t index[kMostRanks];
  float share[kMostRanks];
  int ranks;
};
void launch(const ChannelStatistics& work, Stream stream);

}  // namespace dg::cuda
