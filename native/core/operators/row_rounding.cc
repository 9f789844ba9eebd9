#include "native/core/operators/row_rounding.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "native/core/operators/avx512.h"
#include "native/core/operators/rounding.h"

namespace dg {
namespace {

#if DG_HAS_AVX512

template <typename T>
DG_AVX512_INLINE __m512 lanesOf(const Row<T>& row, int64_t i) {
  const __m512 values = loadLanes(row.taken[i / kLanes], row.values + i);
  return row.factors == nullptr ? values : _mm512_mul_ps(values, loadLanes(row.taken[i / kLanes], row.factors + i));
}

template <typename T>
DG_AVX512 Range wideRange(const Row<T>& row) {
  constexpr int kNotFinite = 0x99;  // either NaN, either infinity
  __m512 least = _mm512_setzero_ps(), largest = _mm512_setzero_ps();
  __mmask16 notFinite = 0;
  for (int64_t i = 0; i < row.count; i += kLanes) {
    // The next row: a layer's input may have been written by other threads.
    __builtin_prefetch(row.values + row.count + i);
    const __m512 value = lanesOf(row, i);
    least = _mm512_min_ps(least, value);
    largest = _mm512_max_ps(largest, value);
    notFinite |= _mm512_fpclass_ps_mask(value, kNotFinite);
  }
  return {_mm512_reduce_min_ps(least), _mm512_reduce_max_ps(largest), notFinite == 0};
}

template <typename T>
DG_AVX512 void wideRound(uint8_t* out, const Row<T>& row, const Scale& scale) {
  const __m512 inverse = _mm512_set1_ps(scale.inverse);
  const __m512i zeroPoint = _mm512_set1_epi32(scale.zeroPoint);
  for (int64_t i = 0; i < row.count; i += kLanes) {
    const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(lanesOf(row, i), inverse));
    const __m512i value = _mm512_max_epi32(_mm512_add_epi32(whole, zeroPoint), _mm512_setzero_si512());
    _mm_mask_storeu_epi8(out + i, lanes(row.count - i), _mm512_cvtusepi32_epi8(value));
  }
}

#endif

template <typename T>
float valueOf(const Row<T>& row, int64_t i) {
  if (((row.taken[i / kLanes] >> (i % kLanes)) & 1) == 0) return 0;
  return widen(row.values[i]) * (row.factors == nullptr ? 1.0f : row.factors[i]);
}

template <typename T>
Range fastestRange(const Row<T>& row) {
#if DG_HAS_AVX512
  if (hasVnni()) return wideRange(row);
#endif
  Range range;
  for (int64_t i = 0; i < row.count; ++i) {
    const float value = valueOf(row, i);
    range.least = std::min(range.least, value);
    range.largest = std::max(range.largest, value);
    range.isFinite = range.isFinite && std::isfinite(value);
  }
  return range;
}

template <typename T>
void fastestRound(uint8_t* out, const Row<T>& row, const Scale& scale) {
#if DG_HAS_AVX512
  if (hasVnni()) return wideRound(out, row, scale);
#endif
  for (int64_t i = 0; i < row.count; ++i) {
    const float whole = std::nearbyint(valueOf(row, i) * scale.inverse) + static_cast<float>(scale.zeroPoint);
    out[i] = whole > 0 ? static_cast<uint8_t>(std::min(whole, 255.0f)) : uint8_t{0};
  }
}

}  // namespace

std::vector<uint16_t> takenWithout(const int64_t* channels, int64_t channelCount, int64_t count) {
  std::vector<uint16_t> taken((count + kLanes - 1) / kLanes, 0xffff);
  if (count % kLanes != 0) taken.back() = static_cast<uint16_t>((1u << (count % kLanes)) - 1u);
  for (int64_t k = 0; k < channelCount; ++k) taken[channels[k] / kLanes] &= ~(1u << (channels[k] % kLanes));
  return taken;
}

Range rangeOf(const Row<float>& row) { return fastestRange(row); }
Range rangeOf(const Row<at::BFloat16>& row) { return fastestRange(row); }

Range joined(const Range& a, const Range& b) {
  return {std::min(a.least, b.least), std::max(a.largest, b.largest), a.isFinite && b.isFinite};
}

Scale scaleOf(const Range& range) {
  if (!range.isFinite) return {std::numeric_limits<float>::quiet_NaN(), 0, 0};
  // Each over 255 first: their difference may be infinite.
  const float step = range.largest / 255.0f - range.least / 255.0f;
  if (!(step >= std::numeric_limits<float>::min())) return {};
  return {step, 1.0f / step, static_cast<int32_t>(std::nearbyint(-range.least / step))};
}

void roundRow(uint8_t* out, const Row<float>& row, const Scale& scale) { fastestRound(out, row, scale); }
void roundRow(uint8_t* out, const Row<at::BFloat16>& row, const Scale& scale) { fastestRound(out, row, scale); }

}  // namespace dg
