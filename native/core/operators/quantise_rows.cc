#include "native/core/operators/quantise_rows.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <limits>

#include "native/core/operators/gelu.h"

namespace dg {
namespace {

constexpr float kLeastStep = std::numeric_limits<float>::min();
constexpr int64_t kMiddle = 128;  // of the 256 whole numbers, which an int8 holds around 0

// One number a row, or a picture's rows, for all of its rows.
at::Tensor forEachRow(const at::Tensor& number, int64_t rowsPerScale) {
  return rowsPerScale == 1 ? number : number.repeat_interleave(rowsPerScale, 0, number.size(0) * rowsPerScale);
}

at::Tensor padded(const at::Tensor& values, int64_t rows, int64_t inputs) {
  if (values.size(0) == rows && values.size(1) == inputs) return values;
  return at::constant_pad_nd(values, {0, inputs - values.size(1), 0, rows - values.size(0)});
}

// The range of a scale in steps: `step` is NaN where the range is not finite, and `inverse` 0 there and where all is 0.
struct Steps {
  at::Tensor step, inverse;
};

Steps stepsOf(const at::Tensor& width) {
  const auto isFinite = width.isfinite(), isWide = width.ge(kLeastStep).logical_and(isFinite);
  return {at::where(isWide, width, at::where(isFinite, 1.0f, std::numeric_limits<float>::quiet_NaN())),
          at::where(isWide, width.reciprocal(), 0.0f)};
}

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor> quantiseRows(const at::Tensor& x,
                                                            const std::optional<at::Tensor>& factors,
                                                            int64_t rowsPerScale, bool isFloat8, int64_t paddedRows,
                                                            int64_t paddedInputs) {
  auto wide = x.to(at::kFloat);
  if (factors) wide = at::where(factors->eq(0), 0.0f, wide * *factors);
  const auto groups = wide.reshape({x.size(0) / rowsPerScale, rowsPerScale * x.size(1)});
  // What is not finite is NaN in what it is divided into; here it only has to become some whole number.
  const auto scaled = [&](const at::Tensor& inverse) {
    return (wide * forEachRow(inverse, rowsPerScale).unsqueeze(1)).nan_to_num(0, 0, 0);
  };
  if (isFloat8) {
    const auto steps = stepsOf(groups.abs().amax(1).div(kLargestFloat8));
    const auto values = scaled(steps.inverse).clamp(-kLargestFloat8, kLargestFloat8);
    return {padded(values, paddedRows, paddedInputs).to(at::kFloat8_e4m3fn), forEachRow(steps.step, rowsPerScale),
            at::empty({0}, x.options().dtype(at::kInt))};
  }
  const auto least = groups.amin(1).clamp_max(0), largest = groups.amax(1).clamp_min(0);
  // Each over 255 first: their difference may be infinite.
  const auto steps = stepsOf(largest.div(255) - least.div(255));
  const auto zeroPoints = at::where(steps.inverse.gt(0), at::round(-least / steps.step), 0.0f);
  const auto whole = at::round(scaled(steps.inverse)) + forEachRow(zeroPoints, rowsPerScale).unsqueeze(1);
  const auto values = (whole.clamp(0, 255) - kMiddle).to(at::kChar);
  return {padded(values, paddedRows, paddedInputs), forEachRow(steps.step, rowsPerScale),
          (forEachRow(zeroPoints, rowsPerScale) - kMiddle).to(at::kInt)};
}

at::Tensor dequantiseSums(const at::Tensor& sums, const at::Tensor& steps, const at::Tensor& zeroPoints,
                          const at::Tensor& scales, const std::optional<at::Tensor>& weightSums,
                          const std::optional<at::Tensor>& bias, const at::Tensor& x, const at::Tensor& channels,
                          const at::Tensor& columns, const std::string& activation, at::ScalarType dtype) {
  auto found = sums.narrow(0, 0, steps.size(0)).narrow(1, 0, scales.size(0));
  if (weightSums) found = found - zeroPoints.unsqueeze(1) * *weightSums;
  auto value = found.to(at::kFloat) * (steps.unsqueeze(1) * scales);
  if (bias) value = value + bias->to(at::kFloat);
  if (channels.numel() > 0) value = at::addmm(value, x.index_select(1, channels).to(at::kFloat), columns);
  const auto plain = value.to(dtype);
  if (activation == "none") return plain;
  TORCH_CHECK(activation == "gelu_tanh" || activation == "swish", "quantised_linear: no activation ", activation);
  return activation == "gelu_tanh" ? fastGelu(plain) : at::silu(plain);
}

at::Tensor dequantiseWeight(const at::Tensor& values, const at::Tensor& scales,
                            const std::optional<at::Tensor>& factors, at::ScalarType dtype) {
  auto wide = values.to(at::kFloat).mul_(scales.unsqueeze(1));
  if (factors) wide.mul_(*factors);
  return wide.to(dtype);
}

}  // namespace dg
