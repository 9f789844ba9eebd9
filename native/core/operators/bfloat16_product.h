#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "native/core/operators/epilogue.h"
#include "native/core/operators/layer_norm.h"

namespace dg {

// The product of a linear layer in bfloat16, by AVX-512 (bfloat16_way.h): every sum is one float32 from the first
// input to the last, whatever the other rows, tiles and threads; bias and activation are added to it before it is
// rounded, once.

// Whether it is used on this processor, and rows are whole groups of two numbers.
bool hasBfloat16Product(int64_t inputs);

// out[r, o] = activation(Σ_i x[r, i] · W[o, i] + bias[o]), and what `residual` makes of that.
struct Bfloat16Product {
  int64_t rows, inputs, outputs;
  const at::BFloat16* x;     // [rows, inputs], unless `modulated` makes them
  const void* panels;        // of the weight W, bfloat16 (panels.h)
  const at::BFloat16* bias;  // null: none
  Activation activation;
  Residual residual = {};
  const ModulatedRows* modulated = nullptr;
};

// On all threads. out: [rows, outputs].
void multiply(const Bfloat16Product& product, at::BFloat16* out);
void multiply(const Bfloat16Product& product, float* out);

}  // namespace dg
