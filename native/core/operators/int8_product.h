#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "native/core/operators/epilogue.h"

namespace dg {

// The product of a quantised layer: unsigned by signed 8 bit numbers, summed in 32 bits, and what becomes of the sums,
// in one pass. The sums are exact, so that neither tiles nor threads show in the result.

// out[r, o] = activation(steps[r] · scales[o] · Σ_i (x[r, i] − zeroPoints[r]) · W[o, i] + bias[o] + Σ_k kept[r, k] ·
// columns[k, o]); the activation is of the value as it was rounded to the dtype of the result, and so is
// what `residual` makes of that.
struct Int8Product {
  int64_t rows, inputs, outputs;
  const uint8_t* x;    // [rows, paddedBytes(inputs)]
  const void* panels;  // of the weight W, int8 (panels.h)
  const int32_t* zeroPoints;
  const float* steps;
  const int32_t* sums;  // Σ_i W[o, i]
  const float* scales;
  const float* bias;  // null: none
  int64_t keptCount;
  const float* kept;
  const float* columns;
  Activation activation;
  Residual residual = {};
};

// By VNNI where the processor has it, by plain loops elsewhere. out: [rows, outputs].
void multiply(const Int8Product& product, float* out);
void multiply(const Int8Product& product, at::BFloat16* out);

// By plain loops; activations differ from VNNI's in the last bits.
void multiplyPlainly(const Int8Product& product, float* out);
void multiplyPlainly(const Int8Product& product, at::BFloat16* out);

}  // namespace dg
