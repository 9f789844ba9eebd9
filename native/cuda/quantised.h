#pragma once

#include <cstdint>

#include "native/cuda/kernels.h"

namespace dg::cuda {

// Kernels of what stands around an 8 bit product (native/core/operators/quantise_rows.h, which says what they compute):
// quantised.cu. As in kernels.h, 8 values at a time a thread; here any number of channels and outputs is taken.

// Each row with a scale of its own. x: contiguous, aligned to 16 bytes where inputs are a multiple of 8.
struct QuantiseRows {
  Scalar dtype;  // of x
  const void* x;
  const float* factors;  // [inputs], or null
  void* values;          // int8 or float8 [paddedRows, paddedInputs]; paddedInputs: a multiple of 8
  float* steps;
  int32_t* zeroPoints;  // null: float8
  int64_t rows, inputs, paddedRows, paddedInputs;
};
void launch(const QuantiseRows& work, Stream stream);

enum class Follow { none, geluTanh, swish };

struct DequantiseSums {
  Scalar dtype;      // of x, bias and out
  const void* sums;  // [.., paddedOutputs], a multiple of 8: int32 where there are zeroPoints, else float32
  const float *steps, *scales;
  const int32_t *zeroPoints, *weightSums;  // null together
  const void *bias, *x;                    // bias may be null; x: [rows, inputs], contiguous
  const int64_t* channels;                 // of x, [kept]
  const float* columns;                    // [kept, outputs]
  void* out;                               // [rows, outputs], contiguous
  int64_t rows, inputs, outputs, paddedOutputs, kept;
  Follow follow;
};
void launch(const DequantiseSums& work, Stream stream);

struct DequantiseWeight {
  Scalar dtype;        // of out
  const void* values;  // [outputs, inputs], contiguous
  bool isFloat8;
  const float *scales, *factors;  // factors may be null
  void* out;
  int64_t outputs, inputs;
};
void launch(const DequantiseWeight& work, Stream stream);

}  // namespace dg::cuda
