#pragma once

// What every kernel needs: its start for a dtype, and values as float32. test/native/kernels_test.cc has a start() of
// its own in place of this one.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#ifdef __CUDACC__
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>
#endif

#include "native/cuda/kernels.h"

namespace dg::cuda {
namespace {

constexpr int kWarp = 32;

#ifdef __CUDACC__
// The kernel over a grid of `blocks` blocks with `threads` threads each.
template <typename Work>
void start(void (*kernel)(Work), unsigned blocks, unsigned threads, Stream stream, const Work& work, const char* name) {
  kernel<<<blocks, threads, 0, static_cast<cudaStream_t>(stream)>>>(work);
  const auto status = cudaGetLastError();
  if (status != cudaSuccess) throw std::runtime_error(std::string(name) + ": " + cudaGetErrorString(status));
}
#endif

__device__ inline float toFloat(float value) { return value; }
__device__ inline float toFloat(__half value) { return __half2float(value); }
__device__ inline float toFloat(__nv_bfloat16 value) { return __bfloat162float(value); }

// Calls startAs with a value of the dtype's type.
template <typename StartAs>
void dispatch(Scalar dtype, StartAs startAs) {
  switch (dtype) {
    case Scalar::float32:
      return startAs(float{});
    case Scalar::float16:
      return startAs(__half{});
    case Scalar::bfloat16:
      return startAs(__nv_bfloat16{});
  }
}

}  // namespace
}  // namespace dg::cuda
