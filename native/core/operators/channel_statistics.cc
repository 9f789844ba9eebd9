#include "native/core/operators/channel_statistics.h"

#include <ATen/Functions.h>

#include <cmath>
#include <vector>

namespace dg {

Rank rankOf(double percentile, int64_t tokens) {
  const double place = percentile / 100 * static_cast<double>(tokens - 1);
  const double below = std::floor(place);
  return {static_cast<int32_t>(below), static_cast<float>(place - below)};
}

at::Tensor nonFiniteOf(const at::Tensor& z) { return z.isfinite().logical_not().sum({1, 2}).to(at::kInt); }

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

}  // namespace dg
