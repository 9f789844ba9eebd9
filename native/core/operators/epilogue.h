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

// The residual of a few rows of the product, from `row`.
template <typename T, int kRows>
class ResidualRows {
 public:
  DG_AVX512_INLINE ResidualRows(const Residual& residual, int64_t row, int64_t outputs)
      : isThere_(residual.hidden != nullptr) {
    if (!isThere_) return;
    const T* gates = residual.gatesOf<T>(row);
    // Rows of the first one's picture: a division for each row is seen in the time.
    int64_t left = residual.tokens - (residual.firstRow + row) % residual.tokens;
    for (int r = 0; r < kRows; ++r, --left) {
      if (left == 0) {
        left = residual.tokens;
        gates += residual.gateStride;
      }
      hidden_[r] = residual.hiddenOf<T>(row + r, outputs);
      gates_[r] = gates;
    }
  }

  // The sum with `value`, the r-th row's at these outputs, where there is a residual.
  DG_AVX512_INLINE __m512 addedTo(__m512 value, int64_t r, int64_t output, __mmask16 mask) const {
    if (!isThere_) return value;
    const T *hidden = hidden_[r] + output, *gates = gates_[r] + output;
    const __m512 gated = _mm512_mul_ps(loadLanes(mask, gates), roundedAs(hidden, value));
    return _mm512_add_ps(loadLanes(mask, hidden), roundedAs(hidden, gated));
  }

 private:
  bool isThere_;
  const T *hidden_[kRows], *gates_[kRows];
};
#endif

}  // namespace dg
