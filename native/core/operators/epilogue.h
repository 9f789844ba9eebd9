#pragma once

#include <cstdint>
#include <type_traits>

#include "native/core/operators/avx512.h"

namespace dg {

// What follows a product before it is written. "gelu_tanh" and "swish" by gelu.h's functions.
enum class Activation { none, geluTanh, swish };

// hidden + gate · product, each step rounded to the type T of the result as gatedResidual (modulation.h) rounds it.
struct Residual {
  const void* hidden = nullptr;  // as the result is; null: there is none
  const void* gates = nullptr;   // one for each output, shared by `tokens` rows
  int64_t tokens = 0, gateStride = 0;
  int64_t firstRow = 0;  // of the product

  template <typename T>
  const T* hiddenOf(int64_t row, int64_t outputs) const {
    return static_cast<const T*>(hidden) + (firstRow + row) * outputs;
  }
  template <typename T>
  const T* gatesOf(int64_t row) const {
    return static_cast<const T*>(gates) + (firstRow + row) / tokens * gateStride;
  }
};

// Calls work with the activation as a constant: std::integral_constant.
template <typename Work>
void withActivation(Activation activation, Work work) {
  if (activation == Activation::none) return work(std::integral_constant<Activation, Activation::none>());
  if (activation == Activation::geluTanh) return work(std::integral_constant<Activation, Activation::geluTanh>());
  work(std::integral_constant<Activation, Activation::swish>());
}

#if DG_HAS_AVX512
// As exact as T, the type of the result.
template <Activation kActivation, typename T>
DG_AVX512_INLINE __m512 activated(__m512 value) {
  if constexpr (kActivation == Activation::geluTanh) return geluOf<T>(value);
  if constexpr (kActivation == Activation::swish) return siluOf<T>(value);
  return value;
}

// `value` is as it was rounded; `hidden` and `gates` at the same outputs.
template <typename T>
DG_AVX512_INLINE __m512 addedTo(const T* hidden, const T* gates, __mmask16 mask, __m512 value) {
  return _mm512_add_ps(loadLanes(mask, hidden), roundedAs(hidden, _mm512_mul_ps(loadLanes(mask, gates), value)));
}
#endif

}  // namespace dg
