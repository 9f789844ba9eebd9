#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

#include "native/core/operators/epilogue.h"
#include "native/core/operators/layer_norm.h"

namespace dg {

// The product of a linear layer on the package's register tiles (product_way.h): every sum is one float32 from the
// first input to the last, whatever the other rows, tiles and threads; bias and activation are added to it before it is
// rounded, once.

// Whether it is used for T on this processor, and rows are whole groups of four bytes.
bool hasTileProduct(at::ScalarType dtype, int64_t inputs);

// out[r, o] = activation(Σ_i x[r, i] · W[o, i] + bias[o]), and what `residual` makes of that. T: float or BFloat16.
template <typename T>
struct TileProduct {
  int64_t rows, inputs, outputs;
  const T* x;          // [rows, inputs], unless `modulated` makes them
  const void* panels;  // of the weight W, of T (panels.h)
  const T* bias;       // null: none
  Activation activation;
  Residual residual = {};
  const ModulatedRows<T>* modulated = nullptr;
};

// On all threads. out: [rows, outputs].
void multiply(const TileProduct<float>& product, float* out);
void multiply(const TileProduct<at::BFloat16>& product, at::BFloat16* out);
void multiply(const TileProduct<at::BFloat16>& product, float* out);

}  // namespace dg
