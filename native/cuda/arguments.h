#pragma once

// Tensors as arguments of kernels. Where there are kernels alone.
#ifdef DETAIL_GUIDANCE_CUDA_KERNELS
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAStream.h>

#include <optional>

#include "native/cuda/kernels.h"

namespace dg::cuda {

inline std::optional<Scalar> scalarOf(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return Scalar::float32;
    case at::kHalf:
      return Scalar::float16;
    case at::kBFloat16:
      return Scalar::bfloat16;
    default:
      return std::nullopt;
  }
}

inline Stream currentStream() { return c10::cuda::getCurrentCUDAStream().stream(); }

// A vector of eight values is read in pieces of 16 bytes.
inline bool isAligned(const at::Tensor& tensor) {
  return reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 == 0 && tensor.stride(-1) == 1;
}

// With its values one after the other, from an aligned address.
inline at::Tensor packed(const at::Tensor& x) {
  const auto contiguous = x.contiguous();
  return isAligned(contiguous) ? contiguous : contiguous.clone();
}

inline const void* pointer(const std::optional<at::Tensor>& value) { return value ? value->const_data_ptr() : nullptr; }

}  // namespace dg::cuda
#endif
