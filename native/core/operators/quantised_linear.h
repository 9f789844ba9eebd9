#pragma once

#include <ATen/core/Tensor.h>
#include <torch/custom_class.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dg {

// What is stored of a linear layer's weight in 8 bits: W[o, i] = scales[o] · values[o, i] / smoothing[i], and the
// columns of the input channels that are kept, in float32.
struct QuantisedParts {
  at::Tensor values;     // int8 [outputs, inputs]; zero in kept columns
  at::Tensor scales;     // float32 [outputs]: the largest magnitude of a row over 127
  at::Tensor channels;   // int64 [kept]: input channels that leave the quantised product; may be empty
  at::Tensor columns;    // float32 [kept, outputs]: their weights
  at::Tensor smoothing;  // float32 [inputs], what a channel is divided by before it is rounded, or undefined
};

// The weight of a linear layer rounded to 8 bits, one scale an output channel. `plain`: [outputs, inputs], any floating
// dtype. `channels`: input channels that stay in float32 (LLM.int8(), Dettmers et al. 2022, with channels known in
// advance). `smoothing`: what SmoothQuant (Xiao et al. 2023) moves into the weight, or undefined.
QuantisedParts quantiseWeight(const at::Tensor& plain, const std::vector<int64_t>& channels,
                              const at::Tensor& smoothing);

// SmoothQuant's smoothing with α = ½: √(max |x_i|) / √(max_o |W_oi|); 1 for channels where either is 0. `maxima`:
// float32 [inputs], max |x| by channel.
at::Tensor smoothingOf(const at::Tensor& plain, const at::Tensor& maxima);

// Whether this processor multiplies 8 bit numbers fast (VNNI); if not, why in words.
std::optional<std::string> withoutInt8();

// A quantised weight in the order in which the product reads it (int8_product.h).
class QuantisedWeight : public torch::CustomClassHolder {
 public:
  // What shares one scale and one zero point of the activations: the channels of a token, or the tokens of a picture.
  enum class Scope { token, picture };

  // `dtype`: of the layer's results. Throws c10::Error for layers
  // of more than 65536 inputs, whose sums may not fit.
  QuantisedWeight(QuantisedParts parts, Scope scope, at::ScalarType dtype);

  const QuantisedParts& parts() const { return parts_; }  // its values are let go of
  const at::Tensor& panels() const { return panels_; }
  const std::vector<uint16_t>& taken() const { return taken_; }  // inputs that are not kept (row_rounding.h)
  const at::Tensor& sums() const { return sums_; }               // int32 [outputs]: Σ_i values[o, i]
  int64_t outputs() const { return parts_.scales.size(0); }
  int64_t inputs() const { return inputs_; }
  Scope scope() const { return scope_; }
  at::ScalarType dtype() const { return dtype_; }
  int64_t bytes() const;

 private:
  QuantisedParts parts_;
  at::Tensor panels_, sums_, inverse_;
  std::vector<uint16_t> taken_;
  int64_t inputs_;
  Scope scope_;
  at::ScalarType dtype_;

 public:
  const at::Tensor& inverseSmoothing() const { return inverse_; }  // 1 / smoothing, or undefined
};

// activation(x · Wᵀ + bias) with x rounded to 8 bits as it comes: of what shares a scale, the range from the least (or
// 0) to the largest (or 0) in 255 steps, kept channels left out. The product is of whole numbers, so a row's result
// does not depend on other rows (Scope::token). x: [..., inputs], floating. `activation`: "none", "gelu_tanh" or
// "swish", of the result as it was rounded to its dtype. What is not finite in a row makes the row NaN.
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
