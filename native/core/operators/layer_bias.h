#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace dg {

// Whether a layer's bias is as the products of this package take it: none, one number, or one for each output.
// at::linear also takes one that differs from row to row; that is added after the product.
inline bool isOfOutputs(const std::optional<at::Tensor>& bias) { return !bias || bias->dim() <= 1; }

}  // namespace dg
