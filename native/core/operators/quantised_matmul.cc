#include "native/core/operators/quantised_matmul.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <tuple>

#include "native/core/operators/dispatched.h"
#include "native/core/operators/gelu.h"
#include "native/core/operators/quantise_rows.h"

namespace dg {
namespace {

// at::_int_mm takes more than 16 rows.
constexpr int64_t kLeastIntRows = 2 * kAlignedSides;

// Bytes of the weight in the activations' dtype at a time on the CPU, where they are to stay near the processor.
constexpr int64_t kMostPanelBytes = int64_t{2} << 20;

std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

at::Tensor inEightBits(const at::Tensor& x, const QuantisedWeight& weight, const std::optional<at::Tensor>& bias,
                       const std::string& activation, int64_t rowsPerScale) {
  static const auto quantise = dispatched("detail_guidance::quantise_rows", quantiseRows);
  static const auto dequantise = dispatched("detail_guidance::dequantise_sums", dequantiseSums);
  const bool isFloat8 = weight.product() == QuantisedProduct::scaledMatmul;
  const int64_t rows = isFloat8 ? x.size(0) : std::max(alignedSide(x.size(0)), kLeastIntRows);
  const auto [values, steps, zeroPoints] =
      quantise.call(x, optional(weight.factors()), rowsPerScale, isFloat8, rows, alignedSide(x.size(1)));
  // Column by column, as the product reads it. Scales of 1: those of rows and outputs follow in float32, together with
  // what is added in float32, so that the result is rounded once; and not every device has row-wise ones.
  const auto transposed = weight.parts().values.t();
  const auto sums = isFloat8 ? at::_scaled_mm(values, transposed, weight.one(), weight.one(), std::nullopt,
                                              std::nullopt, at::kFloat, /*use_fast_accum=*/true)
                             : at::_int_mm(values, transposed);
  return dequantise.call(sums, steps, zeroPoints, weight.parts().scales, optional(weight.sums()), bias, x,
                         weight.parts().channels, weight.columns(), activation, weight.dtype());
}

// Outputs first … first + count of the weight in the layer's dtype.
at::Tensor dequantised(const QuantisedWeight& weight, int64_t first, int64_t count) {
  static const auto dequantise = dispatched("detail_guidance::dequantise_weight", dequantiseWeight);
  const auto& [values, scales, channels, columns, smoothing] = weight.parts();
  auto plain = dequantise.call(values.narrow(0, first, count), scales.narrow(0, first, count),
                               optional(weight.factors()), weight.dtype());
  if (channels.numel() > 0) {
    plain.index_copy_(1, channels, weight.columns().narrow(1, first, count).t().to(weight.dtype()));
  }
  return plain;
}

at::Tensor unrounded(const at::Tensor& given, const QuantisedWeight& weight, const std::optional<at::Tensor>& bias) {
  const auto x = given.to(weight.dtype());
  const auto offset = bias ? bias->to(weight.dtype()) : at::Tensor();
  const int64_t outputs = weight.outputs();
  const int64_t fitting = kMostPanelBytes / (weight.inputs() * static_cast<int64_t>(x.element_size()));
  const int64_t atOnce = x.is_cpu() ? std::max(kAlignedSides, fitting) : outputs;
  if (atOnce >= outputs) return at::linear(x, dequantised(weight, 0, outputs), optional(offset));
  auto out = at::empty({x.size(0), outputs}, x.options());
  for (int64_t first = 0; first < outputs; first += atOnce) {
    const int64_t count = std::min(atOnce, outputs - first);
    const auto part = offset.defined() ? optional(offset.narrow(0, first, count)) : std::nullopt;
    out.narrow(1, first, count).copy_(at::linear(x, dequantised(weight, first, count), part));
  }
  return out;
}

}  // namespace

at::Tensor quantisedMatmul(const at::Tensor& x, const QuantisedWeight& weight, const std::optional<at::Tensor>& bias,
                           const std::string& activation, int64_t rowsPerScale) {
  if (weight.product() != QuantisedProduct::dequantised) return inEightBits(x, weight, bias, activation, rowsPerScale);
  const auto plain = unrounded(x, weight, bias);
  if (activation == "none") return plain;
  return activation == "gelu_tanh" ? fastGelu(plain) : at::silu(plain);
}

}  // namespace dg
