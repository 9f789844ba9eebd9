// See quantised.h. Memory-bound, as kernels.cu; test/native/kernels_test.cc runs this file too on the CPU.
#include <cuda_fp8.h>

#include <cfloat>
#include <cstdint>

#include "native/cuda/launch.cuh"
#include "native/cuda/quantised.h"
#include "native/cuda/vectors.cuh"

namespace dg::cuda {
namespace {

constexpr int kRowThreads = 256;

template <bool kIs>
struct WholeRows {
  static constexpr bool value = kIs;
};

struct Least {
  __device__ float operator()(float a, float b) const { return fminf(a, b); }
};
struct Largest {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

// Eight bytes.
struct alignas(8) EightBytes {
  uint8_t bytes[kVector];
};

// The values from `first` of a row of `count`, those beyond it 0. kWhole: rows are whole vectors.
template <bool kWhole, typename T>
__device__ inline void readUpTo(float (&to)[kVector], const T* row, int64_t first, int64_t count) {
  if constexpr (kWhole) {
    read(to, row + first);
  } else {
    for (int i = 0; i < kVector; ++i) to[i] = first + i < count ? toFloat(row[first + i]) : 0.f;
  }
}

template <bool kWhole, typename T>
__device__ inline void writeUpTo(T* row, const float (&from)[kVector], int64_t first, int64_t count) {
  if constexpr (kWhole) {
    write(row + first, from);
  } else {
    for (int i = 0; i < kVector; ++i) {
      if (first + i < count) row[first + i] = fromFloat<T>(from[i]);
    }
  }
}

// A row's values from `first`, each times its channel's factor; those of factor 0 are 0 whatever they are.
template <bool kWhole, typename T>
__device__ inline void readScaled(float (&to)[kVector], const QuantiseRows& work, const T* row, int64_t first) {
  readUpTo<kWhole>(to, row, first, work.inputs);
  if (work.factors == nullptr) return;
  float factors[kVector];
  readUpTo<kWhole>(factors, work.factors, first, work.inputs);
#pragma unroll
  for (int i = 0; i < kVector; ++i) to[i] = factors[i] == 0.f ? 0.f : to[i] * factors[i];
}

// A block a row, which it reads twice: the second time from the caches.
template <typename T, bool kWhole>
__global__ void quantiseRows(QuantiseRows work) {
  __shared__ float partial[kWarp];
  const int64_t row = blockIdx.x;
  const bool isFloat8 = work.zeroPoints == nullptr, isReal = row < work.rows;
  const T* x = static_cast<const T*>(work.x) + row * work.inputs;
  const int64_t start = static_cast<int64_t>(threadIdx.x) * kVector,
                stride = static_cast<int64_t>(blockDim.x) * kVector;
  float least = 0, largest = 0, rest = 0;  // rest: 0, but NaN for what is not finite
  for (int64_t first = start; isReal && first < work.inputs; first += stride) {
    float values[kVector];
    readScaled<kWhole>(values, work, x, first);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      least = fminf(least, values[i]);
      largest = fmaxf(largest, values[i]);
      rest += values[i] * 0.f;
    }
  }
  least = joinOverBlock(least, partial, Least());
  largest = joinOverBlock(largest, partial, Largest());
  const bool isFinite = joinOverBlock(rest, partial, Sum()) == 0.f;
  // Each over 255 first: their difference may be infinite.
  const float width = isFloat8 ? fmaxf(largest, -least) / 448.f : largest / 255.f - least / 255.f;
  const bool isWide = isFinite && width >= FLT_MIN;
  const float inverse = isWide ? 1.f / width : 0.f;
  const float zeroPoint = isWide && !isFloat8 ? rintf(-least / width) : 0.f;
  if (isReal && threadIdx.x == 0) {
    work.steps[row] = isWide ? width : isFinite ? 1.f : __int_as_float(0x7fc00000);
    if (!isFloat8) work.zeroPoints[row] = static_cast<int32_t>(zeroPoint) - 128;
  }
  auto* out = static_cast<uint8_t*>(work.values) + row * work.paddedInputs;
  for (int64_t first = start; first < work.paddedInputs; first += stride) {
    float values[kVector] = {};
    if (isReal && first < work.inputs) readScaled<kWhole>(values, work, x, first);
    EightBytes packed;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      // fmaxf makes 0 of what is no number.
      const float whole = fminf(fmaxf(rintf(values[i] * inverse) + zeroPoint, 0.f), 255.f);
      const bool isThere = isReal && first + i < work.inputs;
      packed.bytes[i] = isFloat8  ? (isWide ? __nv_cvt_float_to_fp8(values[i] * inverse, __NV_SATFINITE, __NV_E4M3) : 0)
                        : isThere ? static_cast<uint8_t>(static_cast<int32_t>(whole) - 128)
                                  : 0;
    }
    *reinterpret_cast<EightBytes*>(out + first) = packed;
  }
}

// The number as T rounds it.
template <typename T>
__device__ inline float asRounded(float value) {
  return toFloat(fromFloat<T>(value));
}

__device__ inline float followed(float x, Follow follow) {
  if (follow == Follow::none) return x;
  // GELU (tanh) is x times the logistic function of this.
  const float argument = follow == Follow::swish ? x : 1.5957691216057308f * (x + 0.044715f * x * x * x);
  return x / (1.f + expf(-argument));
}

// Eight values of a row, from `first`.
struct Octet {
  int64_t row, first;
};

// This thread's, of rows of `channels`; the row may be beyond the last.
__device__ inline Octet octetOf(int64_t channels) {
  const unsigned vector = blockIdx.x * blockDim.x + threadIdx.x;
  const auto ofRow = static_cast<unsigned>((channels + kVector - 1) / kVector);
  return {vector / ofRow, static_cast<int64_t>(vector % ofRow) * kVector};
}

// A thread for eight outputs of a row.
template <typename T, bool kWhole>
__global__ void dequantiseSums(DequantiseSums work) {
  const auto [row, first] = octetOf(work.outputs);
  if (row >= work.rows) return;
  float value[kVector], scales[kVector];
  readUpTo<kWhole>(scales, work.scales, first, work.outputs);
  const float step = work.steps[row];
  if (work.zeroPoints == nullptr) {
    read(value, static_cast<const float*>(work.sums) + row * work.paddedOutputs + first);
  } else {
    const auto packed = *reinterpret_cast<const Eight<int32_t>*>(static_cast<const int32_t*>(work.sums) +
                                                                 row * work.paddedOutputs + first);
    const int32_t zeroPoint = work.zeroPoints[row];
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const int32_t ofWeights = first + i < work.outputs ? work.weightSums[first + i] : 0;
      value[i] = static_cast<float>(packed.values[i] - zeroPoint * ofWeights);
    }
  }
#pragma unroll
  for (int i = 0; i < kVector; ++i) value[i] *= step * scales[i];
  if (work.bias != nullptr) {
    float bias[kVector];
    readUpTo<kWhole>(bias, static_cast<const T*>(work.bias), first, work.outputs);
#pragma unroll
    for (int i = 0; i < kVector; ++i) value[i] += bias[i];
  }
  const T* x = static_cast<const T*>(work.x) + row * work.inputs;
  for (int64_t k = 0; k < work.kept; ++k) {
    const float kept = toFloat(x[work.channels[k]]);
    float column[kVector];
    readUpTo<kWhole>(column, work.columns + k * work.outputs, first, work.outputs);
#pragma unroll
    for (int i = 0; i < kVector; ++i) value[i] += kept * column[i];
  }
  if (work.follow != Follow::none) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) value[i] = followed(asRounded<T>(value[i]), work.follow);
  }
  writeUpTo<kWhole>(static_cast<T*>(work.out) + row * work.outputs, value, first, work.outputs);
}

__device__ inline float fromFloat8(uint8_t bits) {
  return __half2float(__half(__nv_cvt_fp8_to_halfraw(bits, __NV_E4M3)));
}

// A thread for eight inputs of an output.
template <typename T, bool kWhole>
__global__ void dequantiseWeight(DequantiseWeight work) {
  const auto [row, first] = octetOf(work.inputs);
  if (row >= work.outputs) return;
  const auto* from = static_cast<const uint8_t*>(work.values) + row * work.inputs + first;
  EightBytes packed = {};
  if constexpr (kWhole) {
    packed = *reinterpret_cast<const EightBytes*>(from);
  } else {
    for (int i = 0; i < kVector && first + i < work.inputs; ++i) packed.bytes[i] = from[i];
  }
  const float scale = work.scales[row];
  float value[kVector];
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    const uint8_t bits = packed.bytes[i];
    value[i] = scale * (work.isFloat8 ? fromFloat8(bits) : static_cast<float>(static_cast<int8_t>(bits)));
  }
  if (work.factors != nullptr) {
    float factors[kVector];
    readUpTo<kWhole>(factors, work.factors, first, work.inputs);
#pragma unroll
    for (int i = 0; i < kVector; ++i) value[i] *= factors[i];
  }
  writeUpTo<kWhole>(static_cast<T*>(work.out) + row * work.inputs, value, first, work.inputs);
}

// Calls startAs with a value of the dtype's type and whether rows of `channels` are whole vectors.
template <typename StartAs>
void dispatchRows(Scalar dtype, int64_t channels, StartAs startAs) {
  dispatch(dtype, [&](auto as) {
    if (channels % kVector == 0) return startAs(as, WholeRows<true>());
    startAs(as, WholeRows<false>());
  });
}

unsigned blocksOfRows(int64_t rows, int64_t channels) {
  const int64_t vectors = rows * ((channels + kVector - 1) / kVector);
  return static_cast<unsigned>((vectors + kRowThreads - 1) / kRowThreads);
}

}  // namespace

void launch(const QuantiseRows& work, Stream stream) {
  const int64_t vectors = (work.paddedInputs + kVector - 1) / kVector;
  const auto threads =
      static_cast<unsigned>(vectors < kRowThreads ? (vectors + kWarp - 1) / kWarp * kWarp : kRowThreads);
  dispatchRows(work.dtype, work.inputs, [&](auto as, auto whole) {
    start(quantiseRows<decltype(as), decltype(whole)::value>, static_cast<unsigned>(work.paddedRows), threads, stream,
          work, "rows in 8 bits");
  });
}

void launch(const DequantiseSums& work, Stream stream) {
  dispatchRows(work.dtype, work.outputs, [&](auto as, auto whole) {
    start(dequantiseSums<decltype(as), decltype(whole)::value>, blocksOfRows(work.rows, work.outputs), kRowThreads,
          stream, work, "sums of 8 bit products");
  });
}

void launch(const DequantiseWeight& work, Stream stream) {
  dispatchRows(work.dtype, work.inputs, [&](auto as, auto whole) {
    start(dequantiseWeight<decltype(as), decltype(whole)::value>, blocksOfRows(work.outputs, work.inputs), kRowThreads,
          stream, work, "a weight of 8 bits");
  });
}

}  // namespace dg::cuda
