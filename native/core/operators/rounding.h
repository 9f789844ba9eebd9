#pragma once

#include <c10/util/BFloat16.h>

#include <bit>
#include <cstdint>
#include <type_traits>

#include "native/core/operators/vectorise.h"

namespace dg {

// float32 and bfloat16 in loops over floats, in a form that compilers vectorise.

DG_INLINE float widen(float value) { return value; }
DG_INLINE float widen(at::BFloat16 value) { return std::bit_cast<float>(static_cast<uint32_t>(value.x) << 16); }

// To the nearest, ties to even, NaN to bfloat16's: as libtorch rounds, in a form that compilers vectorise.
template <typename T>
DG_INLINE T rounded(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    const auto bits = std::bit_cast<uint32_t>(value);
    const uint32_t nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const bool isNaN = (bits & 0x7fffffff) > 0x7f800000;
    return T(static_cast<uint16_t>(isNaN ? 0x7fc0 : nearest), T::from_bits());
  }
}

}  // namespace dg
