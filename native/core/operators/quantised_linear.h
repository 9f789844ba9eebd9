#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "native/core/operators/quantised_weight.h"

namespace dg {

// activation(x · Wᵀ + bias) with x rounded to 8 bits as it comes, kept channels left out: by int8 products, of what
// shares a scale, the range from the least (or 0) to the largest (or 0) in 255 steps; by float8's, the largest
// magnitude becomes 448; or not rounded (QuantisedProduct::dequantised). A product of whole numbers is exact, so that a
// row's result does not depend on other rows (ActivationScope::token). x: [..., inputs], floating. `activation`:
// "none", "gelu_tanh" or "swish", of the result as it was rounded to its dtype. What is not finite in a row makes the
// row NaN.
at::Tensor quantisedLinear(const at::Tensor& x, const c10::intrusive_ptr<QuantisedWeight>& weight,
                           const std::optional<at::Tensor>& bias, const std::string& activation);

// gatedResidual(hidden, gate, quantisedLinear(x, weight, bias, "none")), to the last bit (modulation.h).
at::Tensor quantisedResidual(const at::Tensor& x, const c10::intrusive_ptr<QuantisedWeight>& weight,
                             const std::optional<at::Tensor>& bias, const at::Tensor& hidden, const at::Tensor& gate);

// quantisedLinear(modulatedLayerNorm(hidden, …), weight, bias, activation), to the last bit (modulation.h).
at::Tensor quantisedModulated(const at::Tensor& hidden, at::IntArrayRef normalizedShape,
                              const std::optional<at::Tensor>& normWeight, const std::optional<at::Tensor>& normBias,
                              double eps, const at::Tensor& scale, const at::Tensor& shift,
                              const c10::intrusive_ptr<QuantisedWeight>& weight, const std::optional<at::Tensor>& bias,
                              const std::string& activation);

}  // namespace dg
