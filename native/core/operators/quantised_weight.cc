#include "native/core/operators/quantised_weight.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <utility>

#include "native/core/error.h"
#include "native/core/operators/avx512.h"
#include "native/core/operators/panels.h"
#include "native/core/operators/quantise_rows.h"
#include "native/core/operators/row_rounding.h"
#include "native/core/operators/vectorise.h"

namespace dg {
namespace {

// Compute capabilities from which libtorch's products are used.
constexpr int kIntMatmulFrom = 80, kScaledMatmulFrom = 89;

std::string worksEverywhere(bool isStored) {
  const std::string unrounded = "activations 'none', which leaves them as they are, or ";
  return unrounded + (isStored ? "the bundle that this one was made of" : "dtype 'bfloat16' without quantize");
}

// at::sum would hold all of it in 64 bits meanwhile.
DG_VECTORISED int32_t sumOf(const int8_t* values, int64_t count) {
  int32_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += values[i];
  return sum;
}

at::Tensor sumsOf(const at::Tensor& values) {
  if (!values.is_cpu()) return values.sum(1, /*keepdim=*/false, at::kInt);
  at::Tensor sums = at::empty({values.size(0)}, at::kInt);
  const auto* first = values.const_data_ptr<int8_t>();
  for (int64_t row = 0; row < values.size(0); ++row) {
    sums.data_ptr<int32_t>()[row] = sumOf(first + row * values.size(1), values.size(1));
  }
  return sums;
}

[[noreturn]] void refuse(const std::string& what, const std::string& why, const std::string& works) {
  throw Error("PRECISION_UNAVAILABLE",
              "options.quantize: " + what + " are not to be had here, since " + why + ". What works: " + works + ".");
}

std::string inWords(at::Device device, std::optional<int> capability) {
  if (!device.is_cuda()) return "the device is " + device.str();
  if (!capability) return "this build of the addon cannot ask " + device.str() + " for its compute capability";
  return device.str() + " has compute capability " + std::to_string(*capability / 10) + "." +
         std::to_string(*capability % 10);
}

}  // namespace

const char* name(WeightFormat format) { return format == WeightFormat::int8 ? "int8" : "fp8"; }

const char* name(ActivationScope scope) {
  if (scope == ActivationScope::none) return "none";
  return scope == ActivationScope::token ? "per-token" : "per-tensor";
}

const char* name(QuantisedProduct product) {
  switch (product) {
    case QuantisedProduct::vnni:
      return "vnni";
    case QuantisedProduct::intMatmul:
      return "int_mm";
    case QuantisedProduct::scaledMatmul:
      return "scaled_mm";
    default:
      return "dequantised";
  }
}

std::optional<std::string> withoutInt8() {
  return hasVnni() ? std::nullopt : std::optional<std::string>("this processor has no AVX-512 VNNI instructions");
}

QuantisedProduct productFor(at::Device device, std::optional<int> capability, WeightFormat format,
                            ActivationScope scope, bool isStored) {
  const auto everywhere = worksEverywhere(isStored);
  if (scope == ActivationScope::none) return QuantisedProduct::dequantised;
  if (format == WeightFormat::float8) {
    // libtorch has the product on every CPU, where it gains no time, but says what fp8 costs.
    if (device.is_cpu() || capability >= kScaledMatmulFrom) return QuantisedProduct::scaledMatmul;
    const std::string int8 = capability >= kIntMatmulFrom && !isStored ? "weights 'int8', " : "";
    refuse("fp8 products", inWords(device, capability) + ", and they need 8.9", int8 + everywhere);
  }
  if (device.is_cpu()) {
    const auto missing = withoutInt8();
    if (!missing) return QuantisedProduct::vnni;
    refuse("int8 products", *missing, everywhere);
  }
  if (capability >= kIntMatmulFrom) return QuantisedProduct::intMatmul;
  refuse("int8 products", inWords(device, capability) + ", and they need 8.0", everywhere);
}

std::optional<int64_t> mostInputs(QuantisedProduct product) {
  const bool isOfWholeNumbers = product == QuantisedProduct::vnni || product == QuantisedProduct::intMatmul;
  return isOfWholeNumbers ? std::optional<int64_t>(65536) : std::nullopt;
}

QuantisedParts quantiseWeight(const at::Tensor& plain, const std::vector<int64_t>& channels,
                              const at::Tensor& smoothing, WeightFormat format) {
  auto weight = plain.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  QuantisedParts parts;
  parts.smoothing = smoothing.defined() ? smoothing.to(plain.device()) : smoothing;
  if (smoothing.defined()) weight.mul_(parts.smoothing);
  parts.channels = at::tensor(at::ArrayRef<int64_t>(channels), at::kLong);
  const auto kept = parts.channels.to(plain.device());
  parts.columns = weight.index_select(1, kept).t().contiguous();
  weight.index_fill_(1, kept, 0);
  const double largest = format == WeightFormat::int8 ? 127 : kLargestFloat8;
  parts.scales = weight.abs().amax(1).div(largest);
  parts.scales.masked_fill_(parts.scales.eq(0), 1);
  weight.div_(parts.scales.unsqueeze(1));
  if (format == WeightFormat::int8) weight.round_();
  parts.values = weight.clamp_(-largest, largest).to(format == WeightFormat::int8 ? at::kChar : at::kFloat8_e4m3fn);
  return parts;
}

at::Tensor smoothingOf(const at::Tensor& plain, const at::Tensor& maxima) {
  const auto weight = plain.to(at::kFloat).abs().amax(0), largest = maxima.to(plain.device());
  const auto smoothing = largest.sqrt().div(weight.sqrt());
  return at::where(weight.gt(0).logical_and(largest.gt(0)), smoothing, at::ones_like(smoothing));
}

QuantisedWeight::QuantisedWeight(QuantisedParts parts, QuantisedProduct product, ActivationScope scope,
                                 at::ScalarType dtype)
    : parts_(std::move(parts)), product_(product), scope_(scope), dtype_(dtype), inputs_(parts_.values.size(1)) {
  const auto most = mostInputs(product);
  TORCH_CHECK(!most || inputs_ <= *most, "quantised_linear: expected at most ", most.value_or(0),
              " input channels, received ", inputs_);
  parts_.values = parts_.values.contiguous();
  parts_.scales = parts_.scales.contiguous();
  parts_.columns = parts_.columns.contiguous();
  if (parts_.smoothing.defined()) inverse_ = parts_.smoothing.reciprocal().contiguous();
  if (parts_.values.scalar_type() == at::kChar && product != QuantisedProduct::dequantised) {
    sums_ = sumsOf(parts_.values);
  }
  if (product == QuantisedProduct::vnni) {
    packForVnni();
  } else {
    parts_.channels = parts_.channels.to(parts_.values.device());
    foldSmoothing();
    if (product != QuantisedProduct::dequantised) padForMatmul();
  }
}

c10::IValue QuantisedWeight::on(const std::vector<at::Tensor>& tensors) const {
  auto moved = c10::make_intrusive<QuantisedWeight>(*this);
  (panels_.defined() ? moved->panels_ : moved->parts_.values) = tensors.at(0);
  return c10::IValue(std::move(moved));
}

void QuantisedWeight::packForVnni() {
  taken_ = takenWithout(parts_.channels.const_data_ptr<int64_t>(), parts_.channels.numel(), inputs_);
  panels_ = at::empty({panelBytes(outputs(), inputs_)}, at::kChar);
  packPanels(panels_.data_ptr(), parts_.values.const_data_ptr<int8_t>(), outputs(), inputs_);
  parts_.values = at::Tensor();
}

void QuantisedWeight::foldSmoothing() {
  columns_ = parts_.columns;
  if (inverse_.defined()) columns_ = columns_ * inverse_.index_select(0, parts_.channels).unsqueeze(1);
  if (inverse_.defined() || parts_.channels.numel() > 0) {
    factors_ = inverse_.defined() ? inverse_.clone() : at::ones({inputs_}, parts_.scales.options());
    factors_.index_fill_(0, parts_.channels, 0);
  }
}

void QuantisedWeight::padForMatmul() {
  one_ = at::ones({}, parts_.scales.options());
  const int64_t rows = alignedSide(outputs()), width = alignedSide(inputs_);
  if (rows == outputs() && width == inputs_) return;
  // Of the bits: not every operator knows float8. All bits of 0 are 0.
  const auto padded = at::zeros({rows, width}, parts_.values.options().dtype(at::kChar));
  padded.narrow(0, 0, outputs()).narrow(1, 0, inputs_).copy_(parts_.values.view(at::kChar));
  parts_.values = padded.view(parts_.values.scalar_type());
}

int64_t QuantisedWeight::bytes() const {
  int64_t bytes = 0;
  for (const auto& tensor : {parts_.values, parts_.scales, parts_.channels, parts_.columns, parts_.smoothing, sums_,
                             inverse_, panels_, factors_, one_}) {
    if (tensor.defined()) bytes += static_cast<int64_t>(tensor.nbytes());
  }
  if (columns_.defined() && !columns_.is_same(parts_.columns)) bytes += static_cast<int64_t>(columns_.nbytes());
  return bytes;
}

}  // namespace dg
