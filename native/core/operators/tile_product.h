#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "native/core/operators/epilogue.h"
#include "native/core/operators/layer_norm.h"

namespace dg {

// The product of a linear layer in bfloat16 on the package's register tiles (product_way.h): every sum is one float32
// from the first input to the last, whatever the other rows, tiles and threads; bias and activation are added to it
// before it is rounded, once.

// Whether it is used on this processor, and rows are whole groups of two numbers.
bool hasTileProduct(int64_t inputs);

// out[r, o] = activation(Σ_i x[r, i] · W[o, i] + bias[o]), and what `residual` makes of that.
struct TileProduct {
  int64_t rows, inputs, outputs;
  const at::BFloat16* x;     // [rows, inputs], unless `modulated` makes them
  const void* panels;        // of the weight W (panels.h)
  const at::BFloat16* bias;  // null: none
  Activation activation;
  Residual residual = {};
  const ModulatedRows* modulated = nullptr;
};

// On all threads. out: [rows, outputs].
void multiply(const TileProduct& product, at::BFloat16* out);
void multiply(const TileProduct& product, float* out);

}  // namespace dg
