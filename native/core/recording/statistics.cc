#include "native/core/recording/statistics.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

#include <algorithm>

#include "native/core/operators/channel_statistics.h"
#include "native/core/operators/dispatched.h"
#include "native/core/recording/channel_tiles.h"

namespace dg {
namespace {

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
    TileScratch scratch;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / tiles, channel = i % tiles * kLanes;
      auto* place = reinterpret_cast<float*>(out + image * words) + channel;
      tileStatistics(from + image * tokens * channels + channel, channels, tokens, std::min(kLanes, channels - channel),
                     ranks, scratch, place, &nonFinite[i]);
    }
  });
  for (int64_t image = 0; image < images; ++image) {
    auto* row = out + image * words;
    const float* z = from + image * tokens * channels;
    if (what.tokens) tokenNorms(z, tokens, channels, reinterpret_cast<float*>(row + channelWords(what, channels)));
    auto& count = row[words - 1];
    count = 0;
    for (int64_t tile = 0; tile < tiles; ++tile) count += nonFinite[image * tiles + tile];
    if (tiles == 0) count = countNonFinite(z, tokens * channels);
  }
  if (const auto top = topOf(what, tokens, channels); top > 0) {
    result.narrow(1, words - 1 - 3 * top, 3 * top).copy_(strongest(hidden, top));
  }
  return result;
}

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

at::Tensor onDevice(const at::Tensor& hidden, bool channels, at::ArrayRef<double> percentiles, bool tokens,
                    int64_t top) {
  static const auto ofChannels = dispatched("detail_guidance::channel_statistics", channelStatistics);
  return byOperators(hidden, {channels, percentiles.vec(), tokens, top},
                     [](const auto& z, auto ranks) { return ofChannels.call(z, ranks); });
}

at::Tensor onCpu(const at::Tensor& hidden, bool channels, at::ArrayRef<double> percentiles, bool tokens, int64_t top) {
  if (hidden.size(1) == 0) return onDevice(hidden, channels, percentiles, tokens, top);
  return onProcessor(hidden.to(at::kFloat).contiguous(), {channels, percentiles.vec(), tokens, top});
}

}  // namespace

int64_t wordsFor(const Statistics& what, int64_t tokens, int64_t channels) {
  return channelWords(what, channels) + (what.tokens ? tokens : 0) + 3 * topOf(what, tokens, channels) + 1;
}

at::Tensor statisticsOf(const at::Tensor& hidden, const Statistics& what) {
  static const auto statistics = dispatched("detail_guidance::statistics", onDevice);
  return statistics.call(hidden, what.channels, what.percentiles, what.tokens, what.top);
}

void defineStatistics(torch::Library& library) {
  library.def("statistics(Tensor hidden, bool channels, float[] percentiles, bool tokens, int top) -> Tensor");
  library.impl("statistics", torch::dispatch(c10::DispatchKey::CPU, onCpu));
  library.impl("statistics", torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, onDevice));
}

at::Tensor statisticsByOperators(const at::Tensor& hidden, const Statistics& what) {
  return byOperators(hidden, what, channelStatistics);
}

}  // namespace dg
