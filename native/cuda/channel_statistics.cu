// See channel_statistics.h. A block has 32 channels of one image, a lane of each of its warps one channel, so that a
// warp reads neighbouring values. Ranks are found without sorting: the bits of floats that are not negative are
// integers of the same order, and the value of a rank is made digit by digit, each from a histogram of the values that
// begin like it. test/native/kernels_test.cc compiles this file without nvcc and runs it on the CPU.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "native/cuda/channel_statistics.h"
#include "native/cuda/launch.cuh"

namespace dg::cuda {
namespace {

constexpr int kMostWarps = 16;
constexpr int kDigitBits = 8;
constexpr int kDigits = 1 << kDigitBits;
constexpr int32_t kInfinityBits = 0x7f800000;
constexpr int kMagnitudeBits = 31;

// How many of a magnitude's leading bits can differ from 0, as a float32.
template <typename T>
constexpr int kBits = kMagnitudeBits;
template <>
constexpr int kBits<__half> = 8 + 10;
template <>
constexpr int kBits<__nv_bfloat16> = 8 + 7;

__device__ inline int32_t magnitudeBits(float value) { return __float_as_int(value) & 0x7fffffff; }

// One number a channel from those of all warps, known to each of them. `shared` has room for one a thread.
template <typename Value, typename Join>
__device__ inline Value joinWarps(Value mine, Value* shared, Join join) {
  shared[threadIdx.x] = mine;
  __syncthreads();
  Value all = shared[threadIdx.x % kWarp];
  for (unsigned other = threadIdx.x % kWarp + kWarp; other < blockDim.x; other += kWarp) all = join(all, shared[other]);
  __syncthreads();  // `shared` is free again
  return all;
}

// What the threads of a block share.
struct Exchange {
  int32_t histogram[kDigits][kWarp];
  union {
    float floats[kMostWarps * kWarp];
    int32_t integers[kMostWarps * kWarp];
  };
  int32_t digit[kWarp], below[kWarp];
};

// The tokens of one channel, shared out among the warps.
template <typename T>
struct Column {
  const T* z;  // null for lanes beyond the last channel
  int64_t tokens, stride;

  template <typename Visit>
  __device__ void forEach(Visit visit) const {
    if (z == nullptr) return;
    const int warps = static_cast<int>(blockDim.x) / kWarp;
    for (int64_t token = threadIdx.x / kWarp; token < tokens; token += warps) visit(toFloat(z[token * stride]));
  }
};

// The magnitude at place `rank` (from 0), as bits; `upTo` becomes how many are not larger.
template <typename T>
__device__ int32_t select(const Column<T>& column, int32_t rank, Exchange& exchange, int32_t& upTo) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  const int digitsEach = kDigits / warps;
  int32_t magnitude = 0, below = 0;
  int shift = kMagnitudeBits;
  while (shift > kMagnitudeBits - kBits<T>) {
    const int before = shift;
    shift = shift > kDigitBits ? shift - kDigitBits : 0;
    for (unsigned i = threadIdx.x; i < kDigits * kWarp; i += blockDim.x) exchange.histogram[i / kWarp][i % kWarp] = 0;
    __syncthreads();
    column.forEach([&](float value) {
      const int32_t bits = magnitudeBits(value);
      if (bits >> before == magnitude >> before) atomicAdd(&exchange.histogram[(bits >> shift) & (kDigits - 1)][lane], 1);
    });
    __syncthreads();
    // Each warp looks through its share of the digits, knowing how many values the warps before it have.
    int32_t mine = 0;
    for (int digit = warp * digitsEach; digit < (warp + 1) * digitsEach; ++digit)
      mine += exchange.histogram[digit][lane];
    exchange.integers[threadIdx.x] = mine;
    __syncthreads();
    int32_t less = below;
    for (int other = 0; other < warp; ++other) less += exchange.integers[other * kWarp + lane];
    if (less <= rank && rank < less + mine) {
      int digit = warp * digitsEach;
      while (rank >= less + exchange.histogram[digit][lane]) less += exchange.histogram[digit++][lane];
      exchange.digit[lane] = digit;
      exchange.below[lane] = less;
    }
    __syncthreads();
    if (column.z != nullptr) {
      magnitude |= exchange.digit[lane] << shift;
      below = exchange.below[lane];
      upTo = below + exchange.histogram[exchange.digit[lane]][lane];
    }
    __syncthreads();
  }
  return magnitude;
}

template <typename T>
__global__ void channelStatistics(ChannelStatistics work) {
  __shared__ Exchange exchange;
  const int lane = threadIdx.x % kWarp;
  const int64_t tiles = (work.channels + kWarp - 1) / kWarp;
  const int64_t image = blockIdx.x / tiles, channel = blockIdx.x % tiles * kWarp + lane;
  const bool holds = channel < work.channels;
  const T* first = static_cast<const T*>(work.z) + image * work.imageStride + channel;
  const Column<T> column{holds ? first : nullptr, work.tokens, work.tokenStride};
  const auto add = [](auto a, auto b) { return a + b; };
  const auto larger = [](int32_t a, int32_t b) { return a > b ? a : b; };
  const auto smaller = [](int32_t a, int32_t b) { return a < b ? a : b; };
  const auto count = static_cast<float>(work.tokens);

  int32_t largest = 0, nonFinite = 0;
  float sum = 0, magnitude = 0;
  column.forEach([&](float value) {
    const int32_t bits = magnitudeBits(value);
    largest = larger(largest, bits);
    nonFinite += bits >= kInfinityBits;
    sum += value;
    magnitude += __int_as_float(bits);
  });
  largest = joinWarps(largest, exchange.integers, larger);
  nonFinite = joinWarps(nonFinite, exchange.integers, add);
  const float mean = joinWarps(sum, exchange.floats, add) / count;
  magnitude = joinWarps(magnitude, exchange.floats, add) / count;
  float squares = 0;
  column.forEach([&](float value) { squares += (value - mean) * (value - mean); });
  squares = joinWarps(squares, exchange.floats, add) / count;

  const bool writes = holds && threadIdx.x < kWarp;
  float* out = work.out + image * (3 + work.ranks) * work.channels + channel;
  if (writes) {
    out[0] = __int_as_float(largest);
    out[work.channels] = magnitude;
    out[3 * work.channels] = squares;
    if (nonFinite > 0) atomicAdd(&work.nonFinite[image], nonFinite);
  }
  for (int k = 0; k < work.ranks; ++k) {
    int32_t upTo = 0;
    const int32_t bits = select(column, work.index[k], exchange, upTo);
    const float value = __int_as_float(bits);
    float result = value;
    if (work.share[k] > 0) {
      int32_t above = 0x7fffffff;
      column.forEach([&](float value) {
        const int32_t other = magnitudeBits(value);
        if (other > bits) above = smaller(above, other);
      });
      above = joinWarps(above, exchange.integers, smaller);
      const float next = upTo > work.index[k] + 1 ? value : __int_as_float(above);
      if (next != value) result = value + work.share[k] * (next - value);
    }
    if (!writes) continue;
    out[(k == 0 ? 2 : 3 + k) * work.channels] = largest > kInfinityBits ? __int_as_float(largest) : result;
  }
}

}  // namespace

void launch(const ChannelStatistics& work, Stream stream) {
  int warps = 1;
  while (warps < kMostWarps && warps * 8 < work.tokens) warps *= 2;
  const auto blocks = static_cast<unsigned>(work.images * ((work.channels + kWarp - 1) / kWarp));
  dispatch(work.dtype, [&](auto as) {
    start(channelStatistics<decltype(as)>, blocks, static_cast<unsigned>(warps * kWarp), stream, work,
          "channel statistics");
  });
}

}  // namespace dg::cuda
