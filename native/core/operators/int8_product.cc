#include "native/core/operators/int8_product.h"

#include <algorithm>
#include <cmath>

#include "native/core/operators/avx512.h"
#include "native/core/operators/gelu.h"
#include "native/core/operators/panels.h"
#include "native/core/operators/register_tile.h"
#include "native/core/operators/rounding.h"

namespace dg {
namespace {

template <typename T>
T activatedPlainly(float value, Activation activation) {
  const T plain = rounded<T>(value);
  if (activation == Activation::none) return plain;
  return rounded<T>(activation == Activation::geluTanh ? geluOf(widen(plain)) : siluOf(widen(plain)));
}

int8_t weightIn(const Int8Product& p, int64_t output, int64_t input) {
  const auto places = groupPlaces(output, p.outputs, p.inputs);
  return static_cast<const int8_t*>(p.panels)[places.first + input / kGroupBytes * places.step + input % kGroupBytes];
}

template <typename T>
void plainly(const Int8Product& p, T* out) {
  const int64_t padded = paddedBytes(p.inputs);
  for (int64_t row = 0; row < p.rows; ++row) {
    for (int64_t output = 0; output < p.outputs; ++output) {
      int32_t sum = 0;
      for (int64_t input = 0; input < p.inputs; ++input) {
        sum += (static_cast<int32_t>(p.x[row * padded + input]) - p.zeroPoints[row]) * weightIn(p, output, input);
      }
      float value = static_cast<float>(sum) * (p.steps[row] * p.scales[output]);
      if (p.bias != nullptr) value += p.bias[output];
      for (int64_t k = 0; k < p.keptCount; ++k) {
        value = std::fma(p.kept[row * p.keptCount + k], p.columns[k * p.outputs + output], value);
      }
      T& to = out[row * p.outputs + output] = activatedPlainly<T>(value, p.activation);
      if (p.residual.hidden == nullptr) continue;
      const T gated = rounded<T>(widen(p.residual.gatesOf<T>(row)[output]) * widen(to));
      to = rounded<T>(widen(p.residual.hiddenOf<T>(row, p.outputs)[output]) + widen(gated));
    }
  }
}

#if DG_HAS_AVX512

// What becomes of the sums of a tile's rows. Not a part of what sums up, whose registers the compiler would share.
template <Activation kActivation, int kRows, typename T>
DG_AVX512 __attribute__((noinline)) void finish(const Int8Product& p, int64_t row, int64_t output, int64_t panels,
                                                const int32_t* sums, T* out) {
  const ResidualRows<T, kRows> residual(p.residual, row, p.outputs);
  const int32_t* zeroPoints = p.zeroPoints + row;
  const float *steps = p.steps + row, *kept = p.kept + row * p.keptCount;
  for (int64_t n = 0; n < panels; ++n, sums += kPanel, output += kPanel) {
    const __mmask16 mask = lanes(p.outputs - output);
    const __m512i weightSums = _mm512_maskz_loadu_epi32(mask, p.sums + output);
    const __m512 scales = loadLanes(mask, p.scales + output);
    const __m512 bias = p.bias == nullptr ? _mm512_setzero_ps() : loadLanes(mask, p.bias + output);
    T* to = out + row * p.outputs + output;
    __m512 values[kRows];
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const __m512i shift = _mm512_mullo_epi32(_mm512_set1_epi32(zeroPoints[r]), weightSums);
      const __m512i sum = _mm512_sub_epi32(_mm512_loadu_si512(sums + r * panels * kPanel), shift);
      const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(steps[r]), scales);
      values[r] = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale), bias);
    }
    for (int64_t k = 0; k < p.keptCount; ++k) {
      const __m512 column = loadLanes(mask, p.columns + k * p.outputs + output);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        values[r] = _mm512_fmadd_ps(_mm512_set1_ps(kept[r * p.keptCount + k]), column, values[r]);
      }
    }
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      __m512 value = values[r];
      if (kActivation != Activation::none) value = activated<kActivation, T>(roundedAs(out, value));
      storeLanes(to + r * p.outputs, mask, residual.addedTo(value, r, output, mask));
    }
  }
}

template <Activation kActivation, typename T>
struct Finish {
  const Int8Product& product;
  T* out;
  template <int kRows>
  DG_AVX512_INLINE void rows(int64_t row, int64_t output, int64_t panels, const int32_t* sums) const {
    finish<kActivation, kRows>(product, row, output, panels, sums, out);
  }
};

template <Activation kActivation, typename T>
DG_AVX512 void byVnni(const Int8Product& p, T* out) {
  const int64_t padded = paddedBytes(p.inputs);
  sumTiles<Int8Kind, int8_t>(p.rows, p.x, padded, 0, panelsOf(p.outputs), static_cast<const uint8_t*>(p.panels),
                             padded / kGroupBytes, nullptr, Finish<kActivation, T>{p, out});
}

#endif

template <typename T>
void fastest(const Int8Product& p, T* out) {
#if DG_HAS_AVX512
  if (hasVnni()) {
    TORCH_INTERNAL_ASSERT(p.rows <= kMostRowsAtOnce);
    return withActivation(p.activation, [&](auto activation) { byVnni<decltype(activation)::value>(p, out); });
  }
#endif
  plainly(p, out);
}

}  // namespace

void multiply(const Int8Product& product, float* out) { fastest(product, out); }
void multiply(const Int8Product& product, at::BFloat16* out) { fastest(product, out); }
void multiplyPlainly(const Int8Product& product, float* out) { plainly(product, out); }
void multiplyPlainly(const Int8Product& product, at::BFloat16* out) { plainly(product, out); }

}  // namespace dg
