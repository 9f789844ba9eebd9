#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "native/core/operators/quantised_weight.h"

namespace dg {

// quantisedLinear (quantised_linear.h) of x [rows, inputs] by libtorch's products, on any device: those of 8 bit
// matrices between quantise_rows.h's passes, and the one of activations that are not rounded, with as much of the
// weight in their dtype as is multiplied at once.
at::Tensor quantisedMatmul(const at::Tensor& x, const QuantisedWeight& weight, const std::optional<at::Tensor>& bias,
                           const std::string& activation, int64_t rowsPerScale);

}  // namespace dg
