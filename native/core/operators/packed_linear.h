#pragma once

#include <ATen/core/Tensor.h>
#include <torch/custom_class.h>

#include <optional>
#include <string>

namespace dg {

// A linear layer's weight in the order in which oneDNN's product reads it: at::linear has it reordered in every call.
// No larger than the plain one but for a few small layers, whose sides are rounded up.
class PackedWeight : public torch::CustomClassHolder {
 public:
  // `plain`: [outputs, inputs], dense, float32 or bfloat16 on the CPU. Throws c10::Error where oneDNN has no such
  // product for this processor.
  explicit PackedWeight(const at::Tensor& plain);

  const at::Tensor& packed() const { return packed_; }
  at::ScalarType dtype() const { return packed_.scalar_type(); }

  // What it was made of, to the last bit.
  at::Tensor plain() const;

 private:
  at::Tensor packed_;  // oneDNN's layout
};

// activation(x · Wᵀ + bias); x: [..., inputs] of the weight's dtype. `activation`: "none", "gelu" (erf), "gelu_tanh" or
// "swish"; it is applied before the product is rounded to bfloat16. A row's result does not depend on the other rows.
at::Tensor packedLinear(const at::Tensor& x, const c10::intrusive_ptr<PackedWeight>& weight,
                        const std::optional<at::Tensor>& bias, const std::string& activation);

// The activation of a product that taps have seen: `tapped` is what they gave for `product`. While they changed nothing
// the result is packedLinear's, to the last bit, so that a hook which only looks leaves the picture as it is.
at::Tensor packedActivation(const at::Tensor& x, const c10::intrusive_ptr<PackedWeight>& weight,
                            const std::optional<at::Tensor>& bias, const at::Tensor& product, const at::Tensor& tapped,
                            const std::string& activation);

}  // namespace dg
