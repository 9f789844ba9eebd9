#include "native/core/operators/layer_norm.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <utility>

#include "native/core/operators/avx512.h"
#include "native/core/operators/threads.h"

namespace dg {

#if DG_HAS_AVX512
namespace {

// What is null is left out.
struct NormRow {
  const at::BFloat16 *x, *weight, *bias, *scale, *shift;
};

DG_AVX512_INLINE __m512 distanceTo(__m512 mean, const at::BFloat16* x, int64_t count) {
  return _mm512_maskz_sub_ps(lanes(count), loadLanes(lanes(count), x), mean);
}

DG_AVX512 void normalise(at::BFloat16* out, const NormRow& row, int64_t channels, float eps) {
  const auto count = static_cast<float>(channels);
  // Two sums each, so that one need not wait for the other.
  __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
  for (int64_t i = 0; i < channels; i += 2 * kLanes) {
    even = _mm512_add_ps(even, loadLanes(lanes(channels - i), row.x + i));
    odd = _mm512_add_ps(odd, loadLanes(lanes(channels - i - kLanes), row.x + i + kLanes));
  }
  const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(_mm512_add_ps(even, odd)) / count);
  even = odd = _mm512_setzero_ps();
  for (int64_t i = 0; i < channels; i += 2 * kLanes) {
    const __m512 one = distanceTo(mean, row.x + i, channels - i);
    const __m512 next = distanceTo(mean, row.x + i + kLanes, channels - i - kLanes);
    even = _mm512_fmadd_ps(one, one, even);
    odd = _mm512_fmadd_ps(next, next, odd);
  }
  const float variance = _mm512_reduce_add_ps(_mm512_add_ps(even, odd)) / count;
  const __m512 inverse = _mm512_set1_ps(1.0f / std::sqrt(variance + eps));
  for (int64_t i = 0; i < channels; i += kLanes) {
    const __mmask16 mask = lanes(channels - i);
    __m512 value = _mm512_mul_ps(_mm512_sub_ps(loadLanes(mask, row.x + i), mean), inverse);
    if (row.weight != nullptr) value = _mm512_mul_ps(value, loadLanes(mask, row.weight + i));
    if (row.bias != nullptr) value = _mm512_add_ps(value, loadLanes(mask, row.bias + i));
    if (row.scale != nullptr) {
      value = roundedAs(out, _mm512_mul_ps(roundedAs(out, value), loadLanes(mask, row.scale + i)));
      value = _mm512_add_ps(value, loadLanes(mask, row.shift + i));
    }
    storeLanes(out + i, mask, value);
  }
}

}  // namespace

void ModulatedRows::write(at::BFloat16* out, int64_t row) const {
  const int64_t picture = row / tokens;
  normalise(out, {x + row * channels, weight.of(0), bias.of(0), scale.of(picture), shift.of(picture)}, channels, eps);
}

#else

void ModulatedRows::write(at::BFloat16*, int64_t) const {}

#endif

std::optional<ModulatedRows> normalisedRows(const at::Tensor& x, at::IntArrayRef normalizedShape,
                                            const std::optional<at::Tensor>& weight,
                                            const std::optional<at::Tensor>& bias, double eps) {
  const bool fits = hasVnni() && x.is_cpu() && x.scalar_type() == at::kBFloat16 && x.dim() > 0 && x.numel() > 0 &&
                    x.is_contiguous() && normalizedShape == at::IntArrayRef({x.size(-1)});
  if (!fits) return std::nullopt;
  const int64_t channels = x.size(-1);
  ModulatedRows rows{x.const_data_ptr<at::BFloat16>(), channels, x.numel() / channels, static_cast<float>(eps)};
  for (const auto& [given, into] : {std::pair{&weight, &rows.weight}, {&bias, &rows.bias}}) {
    if (!*given || !(*given)->defined()) continue;
    const auto& value = **given;
    const bool isRow = value.is_cpu() && value.scalar_type() == at::kBFloat16 && value.is_contiguous() &&
                       value.sizes() == normalizedShape;
    if (!isRow) return std::nullopt;
    into->first = value.const_data_ptr<at::BFloat16>();
  }
  return rows;
}

at::Tensor layerNorm(const at::Tensor& given, at::IntArrayRef normalizedShape, const std::optional<at::Tensor>& weight,
                     const std::optional<at::Tensor>& bias, double eps) {
  const auto x = given.contiguous();
  const ThreadsFor pass(workOfPass(x.numel()));
  const auto rows = normalisedRows(x, normalizedShape, weight, bias, eps);
  if (!rows) return at::layer_norm(x, normalizedShape, weight, bias, eps);
  return written(*rows, x);
}

at::Tensor written(const ModulatedRows& rows, const at::Tensor& like) {
  auto out = at::empty_like(like);
  auto* to = out.data_ptr<at::BFloat16>();
  at::parallel_for(0, like.numel() / rows.channels, 32, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) rows.write(to + row * rows.channels, row);
  });
  return out;
}

}  // namespace dg
