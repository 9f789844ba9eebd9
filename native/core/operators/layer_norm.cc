#include "native/core/operators/layer_norm.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "native/core/operators/avx512.h"
#include "native/core/operators/product_way.h"
#include "native/core/operators/threads.h"

namespace dg {

#if DG_HAS_AVX512
namespace {

// What is null is left out.
template <typename T>
struct NormRow {
  const T *x, *weight, *bias, *scale, *shift;
};

template <typename T>
DG_AVX512_INLINE __m512 distanceTo(__m512 mean, const T* x, int64_t count) {
  return _mm512_maskz_sub_ps(lanes(count), loadLanes(lanes(count), x), mean);
}

template <typename T>
DG_AVX512 void normalise(T* out, const NormRow<T>& row, int64_t channels, float eps) {
  const auto count = static_cast<float>(channels);
  // Two sums each, so that one need not wait for the other.
  __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
  for (int64_t i = 0; i < channels; i += 2 * kLanes) {
    even = _mm512_add_ps(even, loadLanes(lanes(channels - i), row.x + i));
    odd = _mm512_add_ps(odd, loadLanes(lanes(channels - i - kLanes), row.x + i + kLanes));
  }
  const float nearly = _mm512_reduce_add_ps(_mm512_add_ps(even, odd)) / count;
  // The mean is rounded, which is all there is to a row of equal numbers: how far it is off is the mean distance to it.
  __m512 evenOff = _mm512_setzero_ps(), oddOff = _mm512_setzero_ps();
  even = odd = _mm512_setzero_ps();
  for (int64_t i = 0; i < channels; i += 2 * kLanes) {
    const __m512 one = distanceTo(_mm512_set1_ps(nearly), row.x + i, channels - i);
    const __m512 next = distanceTo(_mm512_set1_ps(nearly), row.x + i + kLanes, channels - i - kLanes);
    evenOff = _mm512_add_ps(evenOff, one);
    oddOff = _mm512_add_ps(oddOff, next);
    even = _mm512_fmadd_ps(one, one, even);
    odd = _mm512_fmadd_ps(next, next, odd);
  }
  const float off = _mm512_reduce_add_ps(_mm512_add_ps(evenOff, oddOff)) / count;
  const float variance = std::max(_mm512_reduce_add_ps(_mm512_add_ps(even, odd)) / count - off * off, 0.0f);
  const __m512 mean = _mm512_set1_ps(nearly + off);
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

template <typename T>
void ModulatedRows<T>::write(T* out, int64_t row) const {
  const int64_t picture = row / tokens;
  const NormRow<T> given{x + row * channels, weight.of(0), bias.of(0), scale.of(picture), shift.of(picture)};
  normalise(out, given, channels, eps);
}

#else

template <typename T>
void ModulatedRows<T>::write(T*, int64_t) const {}

#endif

template <typename T>
std::optional<ModulatedRows<T>> normalisedRows(const at::Tensor& x, at::IntArrayRef normalizedShape,
                                               const std::optional<at::Tensor>& weight,
                                               const std::optional<at::Tensor>& bias, double eps) {
  constexpr auto kDtype = c10::CppTypeToScalarType<T>::value;
  const bool isHere = kDtype == at::kFloat ? hasOwnProduct(at::kFloat) : hasVnni();
  const bool fits = isHere && x.is_cpu() && x.scalar_type() == kDtype && x.dim() > 0 && x.numel() > 0 &&
                    x.is_contiguous() && normalizedShape == at::IntArrayRef({x.size(-1)});
  if (!fits) return std::nullopt;
  const int64_t channels = x.size(-1);
  ModulatedRows<T> rows{x.const_data_ptr<T>(), channels, x.numel() / channels, static_cast<float>(eps)};
  for (const auto& [given, into] : {std::pair{&weight, &rows.weight}, {&bias, &rows.bias}}) {
    if (!*given || !(*given)->defined()) continue;
    const auto& value = **given;
    const bool isRow =
        value.is_cpu() && value.scalar_type() == kDtype && value.is_contiguous() && value.sizes() == normalizedShape;
    if (!isRow) return std::nullopt;
    into->first = value.template const_data_ptr<T>();
  }
  return rows;
}

template <typename T>
at::Tensor written(const ModulatedRows<T>& rows, const at::Tensor& like) {
  auto out = at::empty_like(like);
  auto* to = out.data_ptr<T>();
  at::parallel_for(0, like.numel() / rows.channels, 32, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) rows.write(to + row * rows.channels, row);
  });
  return out;
}

at::Tensor layerNorm(const at::Tensor& given, at::IntArrayRef normalizedShape, const std::optional<at::Tensor>& weight,
                     const std::optional<at::Tensor>& bias, double eps) {
  const auto x = given.contiguous();
  const ThreadsFor pass(workOfPass(x.numel()));
  if (const auto rows = normalisedRows<float>(x, normalizedShape, weight, bias, eps)) return written(*rows, x);
  if (const auto rows = normalisedRows<at::BFloat16>(x, normalizedShape, weight, bias, eps)) return written(*rows, x);
  return at::layer_norm(x, normalizedShape, weight, bias, eps);
}

template struct ModulatedRows<float>;
template struct ModulatedRows<at::BFloat16>;
template std::optional<ModulatedRows<float>> normalisedRows(const at::Tensor&, at::IntArrayRef,
                                                            const std::optional<at::Tensor>&,
                                                            const std::optional<at::Tensor>&, double);
template std::optional<ModulatedRows<at::BFloat16>> normalisedRows(const at::Tensor&, at::IntArrayRef,
                                                                   const std::optional<at::Tensor>&,
                                                                   const std::optional<at::Tensor>&, double);
template at::Tensor written(const ModulatedRows<float>&, const at::Tensor&);
template at::Tensor written(const ModulatedRows<at::BFloat16>&, const at::Tensor&);

}  // namespace dg
