#include "native/core/operators/quantised_linear.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "native/core/operators/avx512.h"
#include "native/core/operators/int8_product.h"
#include "native/core/operators/modulation.h"
#include "native/core/operators/panels.h"
#include "native/core/operators/rounding.h"
#include "native/core/operators/row_chunks.h"
#include "native/core/operators/row_rounding.h"
#include "native/core/operators/vectorise.h"

namespace dg {
namespace {

// Inputs whose sums of products are sure to fit into 32 bits.
constexpr int64_t kMostInputs = 65536;

// at::sum would hold all of it in 64 bits meanwhile.
DG_VECTORISED int32_t sumOf(const int8_t* values, int64_t count) {
  int32_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += values[i];
  return sum;
}

Activation activationNamed(const std::string& name) {
  if (name == "none") return Activation::none;
  TORCH_CHECK(name == "gelu_tanh" || name == "swish", "quantised_linear: no activation ", name);
  return name == "gelu_tanh" ? Activation::geluTanh : Activation::swish;
}

// A layer's work on x [rows, inputs]. Every thread does rows of its own from beginning to end, a few at a time, so that
// what is between rounding and product stays near the processor.
class Layer {
 public:
  Layer(const at::Tensor& x, const QuantisedWeight& weight, const float* bias, Activation activation,
        const Residual& residual, const ModulatedRows* modulated)
      : x_(x),
        weight_(weight),
        bias_(bias),
        activation_(activation),
        residual_(residual),
        modulated_(modulated),
        rows_(x.size(0)),
        inputs_(x.size(1)) {
    const auto& inverse = weight.inverseSmoothing();
    factors_ = inverse.defined() ? inverse.const_data_ptr<float>() : nullptr;
    channels_ = weight.parts().channels.const_data_ptr<int64_t>();
    keptCount_ = weight.parts().channels.numel();
    scales_.resize(rows_);
    rounded_ = at::empty({rows_, paddedBytes(inputs_)}, at::kByte);
    kept_ = at::empty({rows_, keptCount_}, at::kFloat);
    steps_ = at::empty({rows_}, at::kFloat);
    zeroPoints_ = at::empty({rows_}, at::kInt);
  }

  // `rowsPerScale`: 1, or the tokens of a picture.
  at::Tensor run(int64_t rowsPerScale) {
    if (rowsPerScale > 1) findScales(rowsPerScale);
    const auto dtype = weight_.dtype() == at::kBFloat16 ? at::kBFloat16 : at::kFloat;
    at::Tensor out = at::empty({rows_, weight_.outputs()}, x_.options().dtype(dtype));
    const int64_t atOnce = rowsAtOnce(rows_);
    at::parallel_for(0, (rows_ + atOnce - 1) / atOnce, 1, [&](int64_t begin, int64_t end) {
      std::vector<at::BFloat16> made;
      for (int64_t each = begin; each < end; ++each) {
        const int64_t first = each * atOnce, count = std::min(atOnce, rows_ - first);
        for (int64_t i = first; i < first + count; ++i) roundAt(i, made, rowsPerScale == 1);
        if (dtype == at::kBFloat16) {
          multiply(product(first, count), out.data_ptr<at::BFloat16>() + first * weight_.outputs());
        } else {
          multiply(product(first, count), out.data_ptr<float>() + first * weight_.outputs());
        }
      }
    });
    return out;
  }

 private:
  float* keptOf(int64_t row) const { return kept_.data_ptr<float>() + row * keptCount_; }

  // Calls work with a row of the input; `made` is room for one.
  template <typename Work>
  void withRow(int64_t row, std::vector<at::BFloat16>& made, Work work) const {
    const uint16_t* taken = weight_.taken().data();
    if (modulated_ != nullptr) {
      made.resize(inputs_);
      modulated_->write(made.data(), row);
      work(Row<at::BFloat16>{made.data(), factors_, taken, inputs_});
    } else if (x_.scalar_type() == at::kFloat) {
      work(Row<float>{x_.const_data_ptr<float>() + row * inputs_, factors_, taken, inputs_});
    } else {
      work(Row<at::BFloat16>{x_.const_data_ptr<at::BFloat16>() + row * inputs_, factors_, taken, inputs_});
    }
  }

  void findScales(int64_t rowsPerScale) {
    at::parallel_for(0, rows_ / rowsPerScale, 1, [&](int64_t begin, int64_t end) {
      std::vector<at::BFloat16> made;
      for (int64_t group = begin; group < end; ++group) {
        Range range;
        for (int64_t each = group * rowsPerScale; each < (group + 1) * rowsPerScale; ++each) {
          withRow(each, made, [&](const auto& row) { range = joined(range, rangeOf(row)); });
        }
        std::fill_n(scales_.begin() + group * rowsPerScale, rowsPerScale, scaleOf(range));
      }
    });
  }

  // Also sets the kept channels aside.
  void roundAt(int64_t index, std::vector<at::BFloat16>& made, bool hasOwnScale) {
    const int64_t padded = paddedBytes(inputs_);
    uint8_t* out = rounded_.data_ptr<uint8_t>() + index * padded;
    withRow(index, made, [&](const auto& row) {
      if (hasOwnScale) scales_[index] = scaleOf(rangeOf(row));
      roundRow(out, row, scales_[index]);
      for (int64_t k = 0; k < keptCount_; ++k) {
        const float value = widen(row.values[channels_[k]]);
        keptOf(index)[k] = factors_ == nullptr ? value : value * factors_[channels_[k]];
      }
    });
    std::fill(out + inputs_, out + padded, uint8_t{0});
    steps_.data_ptr<float>()[index] = scales_[index].step;
    zeroPoints_.data_ptr<int32_t>()[index] = scales_[index].zeroPoint;
  }

  Int8Product product(int64_t first, int64_t rows) const {
    const auto& parts = weight_.parts();
    auto residual = residual_;
    residual.firstRow = first;
    return {.rows = rows,
            .inputs = inputs_,
            .outputs = weight_.outputs(),
            .x = rounded_.const_data_ptr<uint8_t>() + first * paddedBytes(inputs_),
            .panels = weight_.panels().const_data_ptr(),
            .zeroPoints = zeroPoints_.const_data_ptr<int32_t>() + first,
            .steps = steps_.const_data_ptr<float>() + first,
            .sums = weight_.sums().const_data_ptr<int32_t>(),
            .scales = parts.scales.const_data_ptr<float>(),
            .bias = bias_,
            .keptCount = keptCount_,
            .kept = keptOf(first),
            .columns = parts.columns.const_data_ptr<float>(),
            .activation = activation_,
            .residual = residual};
  }

  const at::Tensor& x_;
  const QuantisedWeight& weight_;
  const float* bias_;
  Activation activation_;
  Residual residual_;
  const ModulatedRows* modulated_;
  int64_t rows_, inputs_, keptCount_;
  const float* factors_;
  const int64_t* channels_;
  std::vector<Scale> scales_;                       // of each row
  at::Tensor rounded_, kept_, steps_, zeroPoints_;  // of each row, as Int8Product takes them
};

std::vector<int64_t> sizesOf(const at::Tensor& x, const QuantisedWeight& weight) {
  TORCH_CHECK(x.dim() > 0 && x.size(-1) == weight.inputs(), "quantised_linear: expected ", weight.inputs(),
              " channels, received ", x.sizes());
  auto sizes = x.sizes().vec();
  sizes.back() = weight.outputs();
  return sizes;
}

at::Tensor run(const at::Tensor& given, const QuantisedWeight& weight, const std::optional<at::Tensor>& bias,
               const std::string& activation, const Residual& residual, const ModulatedRows* modulated = nullptr) {
  const auto sizes = sizesOf(given, weight);
  const auto kind = activationNamed(activation);
  if (given.numel() == 0) return at::empty(sizes, given.options().dtype(weight.dtype()));
  auto x = given.reshape({-1, weight.inputs()}).contiguous();
  if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kBFloat16) x = x.to(at::kFloat);
  const bool ofPicture = weight.scope() == QuantisedWeight::Scope::picture && given.dim() > 2;
  const auto wide = bias ? bias->to(at::kFloat).contiguous() : at::Tensor();
  const float* biasValues = wide.defined() ? wide.const_data_ptr<float>() : nullptr;
  const int64_t rowsPerScale = ofPicture ? x.size(0) / given.size(0) : 1;
  return Layer(x, weight, biasValues, kind, residual, modulated).run(rowsPerScale).to(weight.dtype()).view(sizes);
}

}  // namespace

QuantisedParts quantiseWeight(const at::Tensor& plain, const std::vector<int64_t>& channels,
                              const at::Tensor& smoothing) {
  auto weight = plain.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  if (smoothing.defined()) weight.mul_(smoothing);
  QuantisedParts parts;
  parts.smoothing = smoothing;
  parts.channels = at::tensor(at::ArrayRef<int64_t>(channels), at::kLong);
  parts.columns = weight.index_select(1, parts.channels).t().contiguous();
  weight.index_fill_(1, parts.channels, 0);
  parts.scales = weight.abs().amax(1).div(127);
  parts.scales.masked_fill_(parts.scales.eq(0), 1);
  parts.values = weight.div_(parts.scales.unsqueeze(1)).round_().clamp_(-127, 127).to(at::kChar);
  return parts;
}

at::Tensor smoothingOf(const at::Tensor& plain, const at::Tensor& maxima) {
  const auto weight = plain.to(at::kFloat).abs().amax(0);
  const auto smoothing = maxima.sqrt().div(weight.sqrt());
  return at::where(weight.gt(0).logical_and(maxima.gt(0)), smoothing, at::ones_like(smoothing));
}

std::optional<std::string> withoutInt8() {
  return hasVnni() ? std::nullopt : std::optional<std::string>("this processor has no AVX-512 VNNI instructions");
}

QuantisedWeight::QuantisedWeight(QuantisedParts parts, Scope scope, at::ScalarType dtype)
    : parts_(std::move(parts)), inputs_(parts_.values.size(1)), scope_(scope), dtype_(dtype) {
  TORCH_CHECK(inputs_ <= kMostInputs, "quantised_linear: expected at most ", kMostInputs, " input channels, received ",
              inputs_);
  const auto values = parts_.values.contiguous();
  const auto* first = values.const_data_ptr<int8_t>();
  sums_ = at::empty({outputs()}, at::kInt);
  for (int64_t row = 0; row < outputs(); ++row) {
    sums_.data_ptr<int32_t>()[row] = sumOf(first + row * inputs_, inputs_);
  }
  parts_.scales = parts_.scales.contiguous();
  parts_.columns = parts_.columns.contiguous();
  if (parts_.smoothing.defined()) inverse_ = parts_.smoothing.reciprocal().contiguous();
  taken_ = takenWithout(parts_.channels.const_data_ptr<int64_t>(), parts_.channels.numel(), inputs_);
  panels_ = at::empty({panelBytes(outputs(), inputs_)}, at::kChar);
  packPanels(panels_.data_ptr(), first, outputs(), inputs_);
  parts_.values = at::Tensor();
}

int64_t QuantisedWeight::bytes() const {
  const auto sizeOf = [](const at::Tensor& tensor) -> int64_t { return tensor.defined() ? tensor.nbytes() : 0; };
  return sizeOf(panels_) + sizeOf(parts_.scales) + sizeOf(parts_.channels) + sizeOf(parts_.columns) +
         sizeOf(parts_.smoothing) + sizeOf(sums_) + sizeOf(inverse_);
}

at::Tensor quantisedLinear(const at::Tensor& x, const c10::intrusive_ptr<QuantisedWeight>& weight,
                           const std::optional<at::Tensor>& bias, const std::string& activation) {
  return run(x, *weight, bias, activation, {});
}

at::Tensor quantisedResidual(const at::Tensor& x, const c10::intrusive_ptr<QuantisedWeight>& weight,
                             const std::optional<at::Tensor>& bias, const at::Tensor& hidden, const at::Tensor& gate) {
  const auto residual = residualOf(hidden, gate, sizesOf(x, *weight), weight->dtype());
  if (residual) return run(x, *weight, bias, "none", *residual);
  return gatedResidual(hidden, gate, quantisedLinear(x, weight, bias, "none"));
}

at::Tensor quantisedModulated(const at::Tensor& hidden, at::IntArrayRef normalizedShape,
                              const std::optional<at::Tensor>& normWeight, const std::optional<at::Tensor>& normBias,
                              double eps, const at::Tensor& scale, const at::Tensor& shift,
                              const c10::intrusive_ptr<QuantisedWeight>& weight, const std::optional<at::Tensor>& bias,
                              const std::string& activation) {
  const auto x = hidden.contiguous();
  const auto rows = modulatedRows(x, normalizedShape, normWeight, normBias, eps, scale, shift);
  if (rows) return run(x, *weight, bias, activation, {}, &*rows);
  return quantisedLinear(modulatedLayerNorm(x, normalizedShape, normWeight, normBias, eps, scale, shift), weight, bias,
                         activation);
}

}  // namespace dg
