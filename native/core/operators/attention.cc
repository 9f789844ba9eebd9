#include "native/core/operators/attention.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "native/core/operators/gelu.h"
#include "native/core/operators/product_way.h"
#include "native/core/operators/rounding.h"
#include "native/core/operators/threads.h"
#include "native/core/operators/tile_attention.h"
#include "native/core/operators/vectorise.h"

namespace dg {
namespace {

// Scores of a picture that stay near the processor.
constexpr int64_t kMostScoreBytes = 16 << 20;
constexpr int64_t kPartials = 16;

// softmax(scale · row) in place; `work`: count floats. Sums are kept in lanes, so that adding them vectorises.
DG_VECTORISED void softmaxRow(at::BFloat16* row, float* work, float scale, int64_t count) {
  float largest[kPartials], sums[kPartials];
  for (int64_t lane = 0; lane < kPartials; ++lane) {
    largest[lane] = -INFINITY;
    sums[lane] = 0;
  }
  for (int64_t i = 0; i < count; ++i) work[i] = scale * widen(row[i]);
  const int64_t whole = count - count % kPartials;
  for (int64_t i = 0; i < whole; i += kPartials) {
    for (int64_t lane = 0; lane < kPartials; ++lane) {
      largest[lane] = work[i + lane] > largest[lane] ? work[i + lane] : largest[lane];
    }
  }
  float most = -INFINITY;
  for (int64_t lane = 0; lane < kPartials; ++lane) most = largest[lane] > most ? largest[lane] : most;
  for (int64_t i = whole; i < count; ++i) most = work[i] > most ? work[i] : most;
  // What is not a number stays so: it is lost in the comparisons above, and comes back here.
  for (int64_t i = 0; i < count; ++i) {
    const float distance = work[i] - most;
    work[i] = distance == distance ? exponential(distance) : distance;
  }
  for (int64_t i = 0; i < whole; i += kPartials) {
    for (int64_t lane = 0; lane < kPartials; ++lane) sums[lane] += work[i + lane];
  }
  float sum = 0;
  for (int64_t lane = 0; lane < kPartials; ++lane) sum += sums[lane];
  for (int64_t i = whole; i < count; ++i) sum += work[i];
  const float share = 1.0f / sum;
  for (int64_t i = 0; i < count; ++i) row[i] = rounded<at::BFloat16>(work[i] * share);
}

void softmax(at::Tensor& scores, float scale) {
  const int64_t count = scores.size(-1);
  auto* rows = scores.data_ptr<at::BFloat16>();
  at::parallel_for(0, scores.numel() / count, 32, [&](int64_t begin, int64_t end) {
    std::vector<float> work(count);
    for (int64_t row = begin; row < end; ++row) softmaxRow(rows + row * count, work.data(), scale, count);
  });
}

// Whether the scores of a picture fit into the caches, of tensors as they usually are.
bool isSmall(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value) {
  for (const auto* each : {&query, &key, &value}) {
    const bool isLike = each->is_cpu() && each->scalar_type() == query.scalar_type();
    if (!isLike || each->dim() != 4 || each->numel() == 0) return false;
  }
  const bool fits = query.size(0) == key.size(0) && query.size(1) == key.size(1) && query.size(3) == key.size(3) &&
                    key.sizes().slice(0, 3) == value.sizes().slice(0, 3);
  return fits && query.size(1) * query.size(2) * key.size(2) * 2 <= kMostScoreBytes;
}

}  // namespace

at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                     std::optional<double> scale) {
  const bool fits = isSmall(query, key, value);
  const int64_t queries = query.numel() / std::max<int64_t>(query.size(-1), 1);
  const ThreadsFor products(workOfProduct(queries, key.size(-2)) * static_cast<double>(2 * query.size(-1) + 64));
  const auto factor = static_cast<float>(scale.value_or(1.0 / std::sqrt(static_cast<double>(query.size(-1)))));
  if (fits && canTileAttention(query, key, value)) return tileAttention(query, key, value, factor).transpose(1, 2);
  // libtorch's own multiplies bfloat16 by AMX.
  if (!fits || query.scalar_type() != at::kBFloat16 || hasAmx()) {
    return at::scaled_dot_product_attention(query, key, value, std::nullopt, 0.0, false, scale);
  }
  // As libtorch lays it out: what comes next puts the heads of a token side by side.
  auto out = at::empty({query.size(0), query.size(2), query.size(1), value.size(3)}, query.options());
  for (int64_t picture = 0; picture < query.size(0); ++picture) {
    auto scores = at::bmm(query[picture].contiguous(), key[picture].contiguous().transpose(1, 2));
    softmax(scores, factor);
    out[picture].transpose(0, 1).copy_(at::bmm(scores, value[picture].contiguous()));
  }
  return out.transpose(1, 2);
}

}  // namespace dg
