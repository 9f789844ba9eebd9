#pragma once

#include <ATen/Functions.h>

#include <vector>

#include "native/core/operators/avx512.h"
#include "native/core/operators/packed_linear.h"

namespace dg::test {

// In which weights are packed on this processor: oneDNN asks for AVX-512 for bfloat16's.
inline std::vector<at::ScalarType> packedDtypes() {
  try {
    const PackedWeight weight(at::ones({1, 1}, at::kBFloat16));
  } catch (const c10::Error&) {
    return {at::kFloat};
  }
  return {at::kFloat, at::kBFloat16};
}

}  // namespace dg::test
