// See kernels.h. Memory-bound work: what counts is that every value is read and written once, 16 bytes at a time.
// test/native/kernels_test.cc compiles this file without nvcc, with a start() of its own, and runs it on the CPU.
#include <cstdint>

#include "native/cuda/kernels.h"
#include "native/cuda/launch.cuh"
#include "native/cuda/vectors.cuh"

namespace dg::cuda {
namespace {

constexpr int kThreads = 256;

// A block a token, a thread for every 8 channels; the variance is that of the deviations, as in LayerNorm's definition.
template <typename T>
__global__ void __launch_bounds__(kMostChannels / kVector) modulatedLayerNorm(ModulatedLayerNorm work) {
  __shared__ float partial[kWarp];
  const int64_t token = blockIdx.x;
  const int64_t row = blockIdx.x / static_cast<unsigned>(work.tokens);
  const int64_t first = static_cast<int64_t>(threadIdx.x) * kVector;
  const bool holds = first < work.channels;
  float x[kVector] = {};
  if (holds) read(x, static_cast<const T*>(work.x) + token * work.channels + first);
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kVector; ++i) sum += x[i];
  const float mean = joinOverBlock(sum, partial, Sum()) / static_cast<float>(work.channels);
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    const float deviation = holds ? x[i] - mean : 0.f;
    squares += deviation * deviation;
  }
  const float variance = joinOverBlock(squares, partial, Sum()) / static_cast<float>(work.channels);
  if (!holds) return;
  const float scaleDown = rsqrtf(variance + work.epsilon);
  float scale[kVector], shift[kVector];
  read(scale, static_cast<const T*>(work.scale) + row * work.scaleStride + first);
  read(shift, static_cast<const T*>(work.shift) + row * work.shiftStride + first);
#pragma unroll
  for (int i = 0; i < kVector; ++i) x[i] = (x[i] - mean) * scaleDown;
  if (work.weight != nullptr) {
    float weight[kVector];
    read(weight, static_cast<const T*>(work.weight) + first);
#pragma unroll
    for (int i = 0; i < kVector; ++i) x[i] *= weight[i];
  }
  if (work.bias != nullptr) {
    float bias[kVector];
    read(bias, static_cast<const T*>(work.bias) + first);
#pragma unroll
    for (int i = 0; i < kVector; ++i) x[i] += bias[i];
  }
#pragma unroll
  for (int i = 0; i < kVector; ++i) x[i] = x[i] * scale[i] + shift[i];
  write(static_cast<T*>(work.out) + token * work.channels + first, x);
}

template <typename T>
__global__ void gatedResidual(GatedResidual work) {
  const unsigned vector = blockIdx.x * blockDim.x + threadIdx.x;
  const auto ofToken = static_cast<unsigned>(work.channels / kVector);
  const unsigned ofRow = ofToken * static_cast<unsigned>(work.tokens);
  if (vector >= ofRow * static_cast<unsigned>(work.rows)) return;
  const int64_t row = vector / ofRow;
  const int64_t index = vector * kVector;
  float x[kVector], gate[kVector], y[kVector];
  read(x, static_cast<const T*>(work.x) + index);
  read(y, static_cast<const T*>(work.y) + index);
  read(gate, static_cast<const T*>(work.gate) + row * work.gateStride + vector % ofToken * kVector);
#pragma unroll
  for (int i = 0; i < kVector; ++i) x[i] += gate[i] * y[i];
  write(static_cast<T*>(work.out) + index, x);
}

// channels / 8 neighbouring lanes share a vector of channels; a warp holds several.
template <typename T>
__global__ void normRotary(NormRotary work) {
  const auto lanes = static_cast<unsigned>(work.channels / kVector);
  const unsigned thread = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned item = thread / lanes;
  const int64_t first = thread % lanes * kVector;
  const auto middle = static_cast<unsigned>(work.sizes[1]), inner = static_cast<unsigned>(work.sizes[2]);
  const int64_t i2 = item % inner, i1 = item / inner % middle, i0 = item / inner / middle;
  const bool holds = i0 < work.sizes[0];
  float x[kVector] = {};
  if (holds) {
    read(x, static_cast<const T*>(work.x) + i0 * work.strides[0] + i1 * work.strides[1] + i2 * work.strides[2] + first);
  }
  if (work.normalise) {
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kVector; ++i) squares += x[i] * x[i];
    // Every lane of the warp takes part, also those that hold nothing.
    for (unsigned offset = lanes / 2; offset > 0; offset /= 2) squares += __shfl_xor_sync(kWholeWarp, squares, offset);
    const float scaleDown = rsqrtf(squares / static_cast<float>(work.channels) + work.epsilon);
#pragma unroll
    for (int i = 0; i < kVector; ++i) x[i] *= scaleDown;
  }
  if (!holds) return;
  if (work.normalise && work.weight != nullptr) {
    float weight[kVector];
    read(weight, static_cast<const T*>(work.weight) + first);
#pragma unroll
    for (int i = 0; i < kVector; ++i) x[i] *= weight[i];
  }
  if (work.rotate) {
    const int64_t angle = i0 * work.angleStrides[0] + i1 * work.angleStrides[1] + i2 * work.angleStrides[2] + first;
    float cosine[kVector], sine[kVector];
    read(cosine, work.cosine + angle);
    read(sine, work.sine + angle);
#pragma unroll
    for (int i = 0; i < kVector; i += 2) {
      const float a = x[i], b = x[i + 1];
      x[i] = a * cosine[i] - b * sine[i];
      x[i + 1] = b * cosine[i + 1] + a * sine[i + 1];
    }
  }
  write(static_cast<T*>(work.out) + i0 * work.outStrides[0] + i1 * work.outStrides[1] + i2 * work.outStrides[2] + first,
        x);
}

template <typename T>
__global__ void gatedSilu(GatedSilu work) {
  const unsigned vector = blockIdx.x * blockDim.x + threadIdx.x;
  const auto ofRow = static_cast<unsigned>(work.channels / kVector);
  if (vector >= ofRow * static_cast<unsigned>(work.rows)) return;
  const int64_t row = vector / ofRow, channel = vector % ofRow * kVector;
  float a[kVector], b[kVector];
  read(a, static_cast<const T*>(work.a) + row * work.aStride + channel);
  read(b, static_cast<const T*>(work.b) + row * work.bStride + channel);
#pragma unroll
  for (int i = 0; i < kVector; ++i) a[i] *= b[i] / (1.f + expf(-b[i]));
  write(static_cast<T*>(work.out) + vector * kVector, a);
}

template <typename T>
__global__ void guidedUpdate(GuidedUpdate work) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= work.count) return;
  float guided = 0;
#pragma unroll
  for (int i = 0; i < kMostTerms; ++i) {
    if (i < work.terms) guided += work.weights[i] * toFloat(static_cast<const T*>(work.predictions[i])[index]);
  }
  work.guided[index] = guided;
  float next = work.sample * work.x[index] + work.output * guided;
#pragma unroll
  for (int k = 0; k < kMostTerms; ++k) {
    if (k < work.pastTerms) next += work.past[k] * work.history[k][index];
  }
  work.next[index] = next;
}

unsigned blocksFor(int64_t threads) { return static_cast<unsigned>((threads + kThreads - 1) / kThreads); }

}  // namespace

void launch(const ModulatedLayerNorm& work, Stream stream) {
  const auto vectors = static_cast<unsigned>(work.channels / kVector);
  const unsigned threads = (vectors + kWarp - 1) / kWarp * kWarp;
  const auto blocks = static_cast<unsigned>(work.rows * work.tokens);
  dispatch(work.dtype, [&](auto as) {
    start(modulatedLayerNorm<decltype(as)>, blocks, threads, stream, work, "modulated LayerNorm");
  });
}

void launch(const GatedResidual& work, Stream stream) {
  const auto blocks = blocksFor(work.rows * work.tokens * work.channels / kVector);
  dispatch(work.dtype,
           [&](auto as) { start(gatedResidual<decltype(as)>, blocks, kThreads, stream, work, "gated residual"); });
}

void launch(const NormRotary& work, Stream stream) {
  const auto blocks = blocksFor(work.sizes[0] * work.sizes[1] * work.sizes[2] * work.channels / kVector);
  dispatch(work.dtype, [&](auto as) {
    start(normRotary<decltype(as)>, blocks, kThreads, stream, work, "RMSNorm and rotary embedding");
  });
}

void launch(const GatedSilu& work, Stream stream) {
  const auto blocks = blocksFor(work.rows * work.channels / kVector);
  dispatch(work.dtype, [&](auto as) { start(gatedSilu<decltype(as)>, blocks, kThreads, stream, work, "gated SiLU"); });
}

void launch(const GuidedUpdate& work, Stream stream) {
  const auto blocks = blocksFor(work.count);
  dispatch(work.dtype,
           [&](auto as) { start(guidedUpdate<decltype(as)>, blocks, kThreads, stream, work, "guided update"); });
}

const char* kernelArchitectures() { return DETAIL_GUIDANCE_CUDA_ARCHITECTURES; }

}  // namespace dg::cuda
