#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace dg {

// The product of a quantised layer: unsigned by signed 8 bit numbers, summed in 32 bits, and what becomes of the sums,
// in one pass. The sums are exact, so that neither tiles nor threads show in the result.

// A weight int8 [outputs, inputs] in the order in which the product reads it: panels of 16 outputs, in a panel four
// inputs of an output side by side. What lies beyond the weight's sides is 0.
int64_t panelBytes(int64_t outputs, int64_t inputs);
void packPanels(int8_t* panels, const int8_t* weight, int64_t outputs, int64_t inputs);

// The numbers from one row of x to the next: inputs, rounded up to whole groups of four.
int64_t paddedInputs(int64_t inputs);

enum class Activation { none, geluTanh, swish };

// out[r, o] = activation(steps[r] · scales[o] · Σ_i (x[r, i] − zeroPoints[r]) · W[o, i] + bias[o] + Σ_k kept[r, k] ·
// columns[k, o]); the activation is of the value as it was rounded to the dtype of the result.
struct Int8Product {
  int64_t rows, inputs, outputs;
  const uint8_t* x;      // [rows, paddedInputs]
  const int8_t* panels;  // of the weight W
  const int32_t* zeroPoints;
  const float* steps;
  const int32_t* sums;  // Σ_i W[o, i]
  const float* scales;
  const float* bias;  // null: none
  int64_t keptCount;
  const float* kept;
  const float* columns;
  Activation activation;
};

// By VNNI where the processor has it, by plain loops elsewhere. out: [rows, outputs].
void multiply(const Int8Product& product, float* out);
void multiply(const Int8Product& product, at::BFloat16* out);

// By plain loops; activations differ from VNNI's in the last bits.
void multiplyPlainly(const Int8Product& product, float* out);
void multiplyPlainly(const Int8Product& product, at::BFloat16* out);

}  // namespace dg
