#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

namespace dg {

// What stands around libtorch's products of 8 bit matrices (quantised_matmul.h), as functions of tensors by libtorch's
// operators, on any device. native/cuda has a kernel for each. They wait for no device.

constexpr double kLargestFloat8 = 448;  // of e4m3fn

// Sides of the matrices are filled up to whole groups of this: _int_mm asks for 8, _scaled_mm for 16.
constexpr int64_t kAlignedSides = 16;
constexpr int64_t alignedSide(int64_t side) { return (side + kAlignedSides - 1) / kAlignedSides * kAlignedSides; }

// Rows of x [rows, inputs] in 8 bits, `rowsPerScale` of them sharing a scale: values [paddedRows, paddedInputs], 0
// beyond x; steps, float32 [rows], and zeroPoints, int32 [rows]: x ≈ steps · (values − zeroPoints).
// `factors`, float32 [inputs]: what channels are multiplied by first; those of factor 0 are taken for 0 whatever they
// are. int8: the range from the least (or 0) to the largest (or 0) in 255 steps. `isFloat8`: the largest magnitude
// becomes 448, and zeroPoints are empty. A row that is not finite has NaN for its step.
std::tuple<at::Tensor, at::Tensor, at::Tensor> quantiseRows(const at::Tensor& x,
                                                            const std::optional<at::Tensor>& factors,
                                                            int64_t rowsPerScale, bool isFloat8, int64_t paddedRows,
                                                            int64_t paddedInputs);

// activation(steps[r] · scales[o] · (sums[r, o] − zeroPoints[r] · weightSums[o]) + bias[o] + Σ_k x[r, channels[k]] ·
// columns[k, o]), [rows, outputs] in `dtype`; the activation is of the value as it was rounded to `dtype`. `sums`:
// int32 or float32, with rows and outputs beyond those asked for. zeroPoints and weightSums may be empty. `activation`:
// "none", "gelu_tanh" or "swish".
at::Tensor dequantiseSums(const at::Tensor& sums, const at::Tensor& steps, const at::Tensor& zeroPoints,
                          const at::Tensor& scales, const std::optional<at::Tensor>& weightSums,
                          const std::optional<at::Tensor>& bias, const at::Tensor& x, const at::Tensor& channels,
                          const at::Tensor& columns, const std::string& activation, at::ScalarType dtype);

// scales[o] · values[o, i] · factors[i], rounded once to `dtype`.
at::Tensor dequantiseWeight(const at::Tensor& values, const at::Tensor& scales,
                            const std::optional<at::Tensor>& factors, at::ScalarType dtype);

}  // namespace dg
