#pragma once

// Enough of CUDA to run native/cuda/kernels.cu on the CPU: a thread for every thread of a block, the blocks one after
// the other. What a GPU would do in parallel is so in any order, and what it may not read is out of bounds here too.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <atomic>
#include <barrier>
#include <bit>
#include <cmath>
#include <thread>
#include <vector>

#undef __global__
#undef __device__
#undef __shared__
#undef __launch_bounds__
#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)

#pragma GCC diagnostic ignored "-Wunknown-pragmas"  // unroll

namespace dg::emulated {
namespace {

struct Index {
  unsigned x = 0;
};
thread_local Index blockIdx, blockDim, threadIdx;

std::barrier<>* block = nullptr;
std::vector<float> exchanged;

// A thread that has returned does not count, as on a GPU; here only if none that goes on waits again.
void __syncthreads() { block->arrive_and_wait(); }

// Within groups of 32 threads. All threads of a block have to take part.
float __shfl_xor_sync(unsigned, float value, int lanes) {
  exchanged[threadIdx.x] = value;
  __syncthreads();
  const unsigned warp = threadIdx.x / 32 * 32;
  const float other = exchanged[warp + ((threadIdx.x % 32) ^ static_cast<unsigned>(lanes))];
  __syncthreads();
  return other;
}

int atomicAdd(int* place, int value) { return std::atomic_ref(*place).fetch_add(value); }

int __float_as_int(float value) { return std::bit_cast<int>(value); }
float __int_as_float(int bits) { return std::bit_cast<float>(bits); }

float rsqrtf(float value) { return 1.f / std::sqrt(value); }

template <typename Work>
void start(void (*kernel)(Work), unsigned blocks, unsigned threads, void*, const Work& work, const char*) {
  std::barrier everyone(threads);
  block = &everyone;
  exchanged.assign(threads, 0);
  std::vector<std::thread> running;
  for (unsigned index = 0; index < threads; ++index) {
    running.emplace_back([&, index] {
      blockDim.x = threads;
      threadIdx.x = index;
      for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
        kernel(work);
        everyone.arrive_and_wait();
      }
    });
  }
  for (auto& each : running) each.join();
}

}  // namespace
}  // namespace dg::emulated
