#pragma once

#include <cstdint>

// The CUDA kernels as plain functions over pointers: kernels.cu is compiled by nvcc and sees no header of libtorch
// (a quarter of a minute less a file, and no compiler has to swallow both). operators.cc checks shapes and calls them.
//
// All of them read and write 8 values at a time a thread, compute in float32 and round once, at the end. Pointers are
// aligned to 16 bytes, channels are a multiple of 8 with stride 1; strides count elements.
namespace dg::cuda {

using Stream = void*;  // cudaStream_t

enum class Scalar { float32, float16, bfloat16 };

inline constexpr int64_t kVector = 8;
inline constexpr int64_t kMostChannels = 8192;  // of a LayerNorm: one thread per 8 channels of a token
inline constexpr int64_t kMostHeadChannels = 256;
inline constexpr int64_t kMostValues = int64_t{1} << 33;  // of a tensor: its vectors are counted in 32 bits, since a
                                                          // division of 64 takes longer than reading the vector does
inline constexpr int kMostTerms = 8;

// out[b, n] = (LayerNorm(x[b, n]) · weight + bias) · scale[b] + shift[b]. x and out are contiguous; weight and bias may
// be null. 0 as the stride of a modulation: one for all rows.
struct ModulatedLayerNorm {
  Scalar dtype;
  const void *x, *weight, *bias, *scale, *shift;
  void* out;
  int64_t rows, tokens, channels, scaleStride, shiftStride;
  float epsilon;
};
void launch(const ModulatedLayerNorm& work, Stream stream);

// out[b, n] = x[b, n] + gate[b] · y[b, n].
struct GatedResidual {
  Scalar dtype;
  const void *x, *gate, *y;
  void* out;
  int64_t rows, tokens, channels, gateStride;
};
void launch(const GatedResidual& work, Stream stream);

// out = rotary(RMSNorm(x) · weight) over the last axis of [sizes[0], sizes[1], sizes[2], channels]; either part may be
// left out. Rotary embedding of interleaved pairs (Su et al., arXiv 2104.09864): (a, b) becomes
// (a · cos − b · sin, b · cos + a · sin), each of the two with its own entry of cosine and sine (float32).
struct NormRotary {
  Scalar dtype;
  const void *x, *weight;  // weight: [channels] or null
  const float *cosine, *sine;
  void* out;
  int64_t sizes[3], strides[3], outStrides[3], angleStrides[3];
  int64_t channels;  // a power of two, 8 to kMostHeadChannels
  float epsilon;
  bool normalise, rotate;
};
void launch(const NormRotary& work, Stream stream);

// out[r, c] = a[r, c] · SiLU(b[r, c]); out is contiguous.
struct GatedSilu {
  Scalar dtype;
  const void *a, *b;
  void* out;
  int64_t rows, channels, aStride, bStride;
};
void launch(const GatedSilu& work, Stream stream);

// guided = Σ weights[i] · predictions[i], next = sample · x + output · guided + Σ past[k] · history[k]: all contiguous
// and of `count` values, float32 but for the predictions. `next` may not be any of the inputs. No alignment is asked.
struct GuidedUpdate {
  Scalar dtype;  // of the predictions
  const void* predictions[kMostTerms];
  float weights[kMostTerms];
  int terms;
  const float* x;
  const float* history[kMostTerms];
  float past[kMostTerms];
  int pastTerms;
  float sample, output;
  float *guided, *next;
  int64_t count;
};
void launch(const GuidedUpdate& work, Stream stream);

// What the kernels were compiled for, such as "sm_75 sm_80 sm_90 compute_90".
const char* kernelArchitectures();

}  // namespace dg::cuda
