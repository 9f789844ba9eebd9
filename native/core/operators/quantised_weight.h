#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "native/core/operators/movable_weight.h"

namespace dg {

// What the numbers of a weight are: whole ones from −127 to 127, or float8 with four bits of exponent and three of
// mantissa (e4m3fn, the largest 448).
enum class WeightFormat { int8, float8 };

// What shares one scale of the activations: the channels of a token, or the tokens of a picture. `none`: activations
// are not rounded.
enum class ActivationScope { token, picture, none };

// What multiplies. `vnni`: the package's own product (int8_product.h). `intMatmul`, `scaledMatmul`: libtorch's of 8 bit
// matrices, at::_int_mm and at::_scaled_mm. `dequantised`: libtorch's of activations that are not rounded.
enum class QuantisedProduct { vnni, intMatmul, scaledMatmul, dequantised };

const char* name(WeightFormat format);       // "int8", "fp8"
const char* name(ActivationScope scope);     // "per-token", "per-tensor", "none"
const char* name(QuantisedProduct product);  // "vnni", "int_mm", "scaled_mm", "dequantised"

// Whether this processor multiplies 8 bit numbers fast (VNNI); if not, why in words.
std::optional<std::string> withoutInt8();

// The product for a device of that compute capability (device/capability.h). Throws PRECISION_UNAVAILABLE, which says
// what works there; `isStored`: with weights that are stored in that format.
QuantisedProduct productFor(at::Device device, std::optional<int> capability, WeightFormat format,
                            ActivationScope scope, bool isStored = false);

// The most inputs of a layer that a product takes: sums of whole numbers have to fit into 32 bits. nullopt: any.
std::optional<int64_t> mostInputs(QuantisedProduct product);

// What is stored of a linear layer's weight in 8 bits: W[o, i] = scales[o] · values[o, i] / smoothing[i], and the
// columns of the input channels that are kept, in float32.
struct QuantisedParts {
  at::Tensor values;     // int8 or float8_e4m3fn [outputs, inputs]; zero in kept columns
  at::Tensor scales;     // float32 [outputs]: the largest magnitude of a row over 127 or 448
  at::Tensor channels;   // int64 [kept], on the CPU: input channels that leave the quantised product; may be empty
  at::Tensor columns;    // float32 [kept, outputs]: their weights
  at::Tensor smoothing;  // float32 [inputs], what a channel is divided by before it is rounded, or undefined
};

// The weight of a linear layer rounded to 8 bits, one scale an output channel. `plain`: [outputs, inputs], any floating
// dtype. `channels`: input channels that stay in float32 (LLM.int8(), Dettmers et al. 2022, with channels known in
// advance). `smoothing`: what SmoothQuant (Xiao et al. 2023) moves into the weight, or undefined.
QuantisedParts quantiseWeight(const at::Tensor& plain, const std::vector<int64_t>& channels,
                              const at::Tensor& smoothing, WeightFormat format = WeightFormat::int8);

// SmoothQuant's smoothing with α = ½: √(max |x_i|) / √(max_o |W_oi|); 1 for channels where either is 0. `maxima`:
// float32 [inputs], max |x| by channel.
at::Tensor smoothingOf(const at::Tensor& plain, const at::Tensor& maxima);

// A quantised weight as its product reads it.
class QuantisedWeight : public MovableWeight {
 public:
  // `dtype`: of the layer's results. It is on the device of the parts' values; `vnni` is for the CPU. Throws c10::Error
  // for layers of more inputs than the product takes.
  QuantisedWeight(QuantisedParts parts, QuantisedProduct product, ActivationScope scope, at::ScalarType dtype);

  QuantisedProduct product() const { return product_; }
  ActivationScope scope() const { return scope_; }
  at::ScalarType dtype() const { return dtype_; }
  int64_t inputs() const { return inputs_; }
  int64_t outputs() const { return parts_.scales.size(0); }
  int64_t bytes() const;

  // The values or the panels that were made of them: nothing else of it is large.
  std::vector<at::Tensor> tensors() const override { return {panels_.defined() ? panels_ : parts_.values}; }
  c10::IValue on(const std::vector<at::Tensor>& tensors) const override;

  const QuantisedParts& parts() const { return parts_; }  // their values are let go of where panels() are made of them
  const at::Tensor& sums() const { return sums_; }        // of int8, int32 [outputs]: Σ_i values[o, i]
  const at::Tensor& inverseSmoothing() const { return inverse_; }  // 1 / smoothing, or undefined

  // Of `vnni`: the values in the order in which the product reads them, and the inputs that are not kept
  // (row_rounding.h).
  const at::Tensor& panels() const { return panels_; }
  const std::vector<uint16_t>& taken() const { return taken_; }

  // Of libtorch's products: what each input channel is multiplied by before it is rounded, 0 for those that are kept,
  // or undefined; the columns of kept channels as they multiply channels that are not smoothed; and a 1 on the device.
  // For those of 8 bits the parts' values are filled up with zeros (quantise_rows.h: alignedSide).
  const at::Tensor& factors() const { return factors_; }
  const at::Tensor& columns() const { return columns_; }
  const at::Tensor& one() const { return one_; }

 private:
  void packForVnni();
  void foldSmoothing();
  void padForMatmul();

  QuantisedParts parts_;
  QuantisedProduct product_;
  ActivationScope scope_;
  at::ScalarType dtype_;
  int64_t inputs_;
  at::Tensor sums_, inverse_, panels_, factors_, columns_, one_;
  std::vector<uint16_t> taken_;
};

}  // namespace dg
