#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

namespace dg {

// Where a percentile lies among `tokens` values in ascending order: at `index`, by `share` of the way to the next one.
struct Rank {
  int32_t index;
  float share;
};
Rank rankOf(double percentile, int64_t tokens);

// Of each channel: max |z|, mean |z|, median |z|, variance of z, the percentiles of |z|: float32 [images, 4 +
// percentiles, channels]; and how many values of each image are not finite: int32 [images]. By libtorch's operators.
std::tuple<at::Tensor, at::Tensor> channelStatistics(const at::Tensor& hidden, at::ArrayRef<double> percentiles);

// How many values of each image of [images, tokens, channels] are not finite: int32 [images].
at::Tensor nonFiniteOf(const at::Tensor& z);

}  // namespace dg
