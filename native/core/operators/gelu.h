#pragma once

#include <ATen/core/Tensor.h>

#include <bit>
#include <cstdint>

#include "native/core/operators/vectorise.h"

namespace dg {

// eˣ, to 2 units in the last place of float32, in a form that compilers vectorise: 2ⁿ · 2ᶠ with |f| ≤ 1/2 and the
// polynomial of 2ᶠ (Taylor's, seven terms).
DG_INLINE float exponential(float x) {
  constexpr float kRounding = 12582912.0f;  // 1.5 · 2²³: adding it leaves the nearest whole number in the last bits
  x = x < -87.0f ? -87.0f : x;
  x = x > 87.0f ? 87.0f : x;
  const float scaled = x * 1.44269504f;
  const float shifted = scaled + kRounding;
  const float n = shifted - kRounding;
  // ln 2 in two parts, so that x − n ln 2 loses nothing.
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9841270e-4f;
  p = p * r + 1.3888889e-3f;
  p = p * r + 8.3333333e-3f;
  p = p * r + 4.1666667e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const auto exponent = (std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRounding) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

// x · σ(x)
DG_INLINE float siluOf(float x) { return x / (1.0f + exponential(-x)); }

// GELU with tanh: ½ x (1 + tanh u) = x · σ(2u), u = √(2/π) (x + 0.044715 x³). A tanh costs four times as much.
DG_INLINE float geluOf(float x) {
  const float u = 1.59576912f * (x + 0.044715f * (x * x * x));
  return x / (1.0f + exponential(-u));
}

// The same over a tensor; float32 and 16 bit types on the CPU, anything else as libtorch computes it.
at::Tensor fastGelu(const at::Tensor& x);

}  // namespace dg
