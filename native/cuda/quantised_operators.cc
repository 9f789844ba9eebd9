#include "native/cuda/quantised_operators.h"

#ifdef DETAIL_GUIDANCE_CUDA_KERNELS
#include <ATen/Functions.h>
#include <c10/cuda/CUDAGuard.h>

#include <optional>
#include <string>
#include <tuple>

#include "native/core/operators/quantise_rows.h"
#include "native/cuda/arguments.h"
#include "native/cuda/quantised.h"

namespace dg::cuda {
namespace {

const float* floats(const std::optional<at::Tensor>& tensor) {
  return tensor ? tensor->const_data_ptr<float>() : nullptr;
}

// Threads are counted in 32 bits.
bool isCountable(int64_t rows, int64_t channels) { return rows * alignedSide(channels) <= kMostValues; }

std::tuple<at::Tensor, at::Tensor, at::Tensor> quantiseRowsKernel(const at::Tensor& given,
                                                                  const std::optional<at::Tensor>& factors,
                                                                  int64_t rowsPerScale, bool isFloat8,
                                                                  int64_t paddedRows, int64_t paddedInputs) {
  const bool fits = rowsPerScale == 1 && scalarOf(given.scalar_type()) && given.numel() > 0;
  if (!fits) return quantiseRows(given, factors, rowsPerScale, isFloat8, paddedRows, paddedInputs);
  const c10::cuda::CUDAGuard guard(given.device());
  const auto x = packed(given);
  auto values = at::empty({paddedRows, paddedInputs}, x.options().dtype(isFloat8 ? at::kFloat8_e4m3fn : at::kChar));
  auto steps = at::empty({x.size(0)}, x.options().dtype(at::kFloat));
  auto zeroPoints = at::empty({isFloat8 ? 0 : x.size(0)}, x.options().dtype(at::kInt));
  launch(QuantiseRows{*scalarOf(x.scalar_type()), x.const_data_ptr(), floats(factors), values.data_ptr(),
                      steps.data_ptr<float>(), isFloat8 ? nullptr : zeroPoints.data_ptr<int32_t>(), x.size(0),
                      x.size(1), paddedRows, paddedInputs},
         currentStream());
  return {values, steps, zeroPoints};
}

std::optional<Follow> followNamed(const std::string& name) {
  if (name == "none") return Follow::none;
  if (name == "gelu_tanh") return Follow::geluTanh;
  return name == "swish" ? std::optional(Follow::swish) : std::nullopt;
}

at::Tensor dequantiseSumsKernel(const at::Tensor& sums, const at::Tensor& steps, const at::Tensor& zeroPoints,
                                const at::Tensor& scales, const std::optional<at::Tensor>& weightSums,
                                const std::optional<at::Tensor>& bias, const at::Tensor& given,
                                const at::Tensor& channels, const at::Tensor& columns, const std::string& activation,
                                at::ScalarType dtype) {
  const auto follow = followNamed(activation);
  const int64_t rows = steps.size(0), outputs = scales.size(0);
  const bool reads = channels.numel() == 0 || given.scalar_type() == dtype;
  const bool fits = follow && reads && scalarOf(dtype) && rows > 0 && isCountable(rows, outputs) &&
                    sums.is_contiguous() && sums.size(1) % kVector == 0;
  if (!fits) {
    return dequantiseSums(sums, steps, zeroPoints, scales, weightSums, bias, given, channels, columns, activation,
                          dtype);
  }
  const c10::cuda::CUDAGuard guard(sums.device());
  const auto x = given.contiguous();
  const auto offset = bias ? std::optional(packed(bias->to(dtype))) : std::nullopt;
  auto out = at::empty({rows, outputs}, sums.options().dtype(dtype));
  launch(DequantiseSums{*scalarOf(dtype), sums.const_data_ptr(), steps.const_data_ptr<float>(),
                        scales.const_data_ptr<float>(), weightSums ? zeroPoints.const_data_ptr<int32_t>() : nullptr,
                        weightSums ? weightSums->const_data_ptr<int32_t>() : nullptr, pointer(offset),
                        x.const_data_ptr(), channels.const_data_ptr<int64_t>(), columns.const_data_ptr<float>(),
                        out.data_ptr(), rows, x.size(1), outputs, sums.size(1), channels.numel(), *follow},
         currentStream());
  return out;
}

at::Tensor dequantiseWeightKernel(const at::Tensor& given, const at::Tensor& scales,
                                  const std::optional<at::Tensor>& factors, at::ScalarType dtype) {
  const bool fits = scalarOf(dtype) && given.numel() > 0 && isCountable(given.size(0), given.size(1));
  if (!fits) return dequantiseWeight(given, scales, factors, dtype);
  const c10::cuda::CUDAGuard guard(given.device());
  const auto values = packed(given);
  auto out = at::empty(values.sizes(), values.options().dtype(dtype));
  launch(
      DequantiseWeight{*scalarOf(dtype), values.const_data_ptr(), values.scalar_type() == at::kFloat8_e4m3fn,
                       scales.const_data_ptr<float>(), floats(factors), out.data_ptr(), values.size(0), values.size(1)},
      currentStream());
  return out;
}

}  // namespace

void registerQuantisedKernels(torch::Library& library) {
  library.impl("quantise_rows", quantiseRowsKernel);
  library.impl("dequantise_sums", dequantiseSumsKernel);
  library.impl("dequantise_weight", dequantiseWeightKernel);
}

}  // namespace dg::cuda
#endif
