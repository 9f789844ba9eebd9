#pragma once

// Eight values at a time, and one number of all threads of a block.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "native/cuda/kernels.h"
#include "native/cuda/launch.cuh"

namespace dg::cuda {
namespace {

constexpr unsigned kWholeWarp = 0xffffffffu;

// Eight consecutive values.
template <typename T>
struct alignas(16) Eight {
  T values[kVector];
};

template <typename T>
__device__ inline T fromFloat(float value);
template <>
__device__ inline float fromFloat<float>(float value) {
  return value;
}
template <>
__device__ inline __half fromFloat<__half>(float value) {
  return __float2half_rn(value);
}
template <>
__device__ inline __nv_bfloat16 fromFloat<__nv_bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}

template <typename T>
__device__ inline void read(float (&to)[kVector], const T* from) {
  const auto packed = *reinterpret_cast<const Eight<T>*>(from);
#pragma unroll
  for (int i = 0; i < kVector; ++i) to[i] = toFloat(packed.values[i]);
}

template <typename T>
__device__ inline void write(T* to, const float (&from)[kVector]) {
  Eight<T> packed;
#pragma unroll
  for (int i = 0; i < kVector; ++i) packed.values[i] = fromFloat<T>(from[i]);
  *reinterpret_cast<Eight<T>*>(to) = packed;
}

struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};

// What `join` makes of the values of all threads of the block, known to each of them; 0 changes nothing in it.
// `partial` has room for one value a warp.
template <typename Join>
__device__ inline float joinOverBlock(float value, float* partial, Join join) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value = join(value, __shfl_xor_sync(kWholeWarp, value, offset));
  }
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  float total = lane < warps ? partial[lane] : 0.f;
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    total = join(total, __shfl_xor_sync(kWholeWarp, total, offset));
  }
  __syncthreads();  // `partial` is free again
  return total;
}

}  // namespace
}  // namespace dg::cuda
