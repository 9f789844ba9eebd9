#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "native/core/operators/movable_weight.h"

namespace dg {

// A linear layer's weight in the order in which a product reads it: at::linear has it reordered in every call. The
// product is this package's own (tile_product.h) or oneDNN's, as product_way.h says; of bfloat16 the own one takes an
// even number of inputs. No larger than the plain weight but for the outputs, which are rounded up to 16.
class PackedWeight : public MovableWeight {
 public:
  // `plain`: [outputs, inputs], dense, float32 or bfloat16 on the CPU. Throws c10::Error where there is no such product
  // for this processor.
  explicit PackedWeight(const at::Tensor& plain);

  const at::Tensor& packed() const { return packed_; }
  at::ScalarType dtype() const { return dtype_; }
  int64_t outputs() const { return outputs_; }
  int64_t inputs() const { return inputs_; }

  // Whether `packed` is in panels (panels.h), in oneDNN's layout otherwise.
  bool isInPanels() const { return isInPanels_; }

  // What it was made of, to the last bit.
  at::Tensor plain() const;

  std::vector<at::Tensor> tensors() const override { return {packed_}; }
  c10::IValue on(const std::vector<at::Tensor>& tensors) const override;

 private:
  at::ScalarType dtype_;
  int64_t outputs_, inputs_;
  bool isInPanels_;
  at::Tensor packed_;
};

// activation(x · Wᵀ + bias); x: [..., inputs] of the weight's dtype. `activation`: "none", "gelu" (erf), "gelu_tanh" or
// "swish"; it is applied before the product is rounded to bfloat16. A row's result does not depend on the other rows.
at::Tensor packedLinear(const at::Tensor& x, const c10::intrusive_ptr<PackedWeight>& weight,
                        const std::optional<at::Tensor>& bias, const std::string& activation);

// gatedResidual(hidden, gate, packedLinear(x, weight, bias, "none")), to the last bit (modulation.h).
at::Tensor packedResidual(const at::Tensor& x, const c10::intrusive_ptr<PackedWeight>& weight,
                          const std::optional<at::Tensor>& bias, const at::Tensor& hidden, const at::Tensor& gate);

// packedLinear(modulatedLayerNorm(hidden, …), weight, bias, activation), to the last bit (modulation.h).
at::Tensor packedModulated(const at::Tensor& hidden, at::IntArrayRef normalizedShape,
                           const std::optional<at::Tensor>& normWeight, const std::optional<at::Tensor>& normBias,
                           double eps, const at::Tensor& scale, const at::Tensor& shift,
                           const c10::intrusive_ptr<PackedWeight>& weight, const std::optional<at::Tensor>& bias,
                           const std::string& activation);

// The activation of a product that taps have seen: `tapped` is what they gave for `product`. While they changed nothing
// the result is packedLinear's, to the last bit, so that a hook which only looks leaves the picture as it is.
at::Tensor packedActivation(const at::Tensor& x, const c10::intrusive_ptr<PackedWeight>& weight,
                            const std::optional<at::Tensor>& bias, const at::Tensor& product, const at::Tensor& tapped,
                            const std::string& activation);

}  // namespace dg
