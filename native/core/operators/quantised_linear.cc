#include "native/core/operators/quantised_linear.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "native/core/operators/gelu.h"
#include "native/core/operators/int8_product.h"
#include "native/core/operators/layer_bias.h"
#include "native/core/operators/modulation.h"
#include "native/core/operators/panels.h"
#include "native/core/operators/quantised_matmul.h"
#include "native/core/operators/rounding.h"
#include "native/core/operators/row_chunks.h"
#include "native/core/operators/row_rounding.h"
#include "native/core/operators/share_pieces.h"
#include "native/core/operators/threads.h"

namespace dg {
namespace {

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
        const Residual& residual, const ModulatedRows<at::BFloat16>* modulated)
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
    room_ = at::empty({rows_, paddedBytes(inputs_)}, at::kByte);
    rounded_ = room_.data_ptr<uint8_t>();
    kept_.resize(rows_ * keptCount_);
    steps_.resize(rows_);
    zeroPoints_.resize(rows_);
  }

  // `rowsPerScale`: 1, or the tokens of a picture.
  at::Tensor run(int64_t rowsPerScale) {
    if (rowsPerScale > 1) findScales(rowsPerScale);
    const auto dtype = weight_.dtype() == at::kBFloat16 ? at::kBFloat16 : at::kFloat;
    at::Tensor out = at::empty({rows_, weight_.outputs()}, x_.options().dtype(dtype));
    const int64_t atOnce = rowsAtOnce(rows_);
    const auto room = [] { return std::vector<at::BFloat16>(); };
    sharePieces((rows_ + atOnce - 1) / atOnce, room, [&](int64_t each, std::vector<at::BFloat16>& made) {
      const int64_t first = each * atOnce, count = std::min(atOnce, rows_ - first);
      for (int64_t i = first; i < first + count; ++i) roundAt(i, made, rowsPerScale == 1);
      if (dtype == at::kBFloat16) {
        multiply(product(first, count), out.data_ptr<at::BFloat16>() + first * weight_.outputs());
      } else {
        multiply(product(first, count), out.data_ptr<float>() + first * weight_.outputs());
      }
    });
    return out;
  }

 private:
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
    std::vector<Range> ranges(rows_);
    at::parallel_for(0, rows_, kFewestRows, [&](int64_t begin, int64_t end) {
      std::vector<at::BFloat16> made;
      for (int64_t each = begin; each < end; ++each) {
        withRow(each, made, [&](const auto& row) { ranges[each] = rangeOf(row); });
      }
    });
    for (int64_t first = 0; first < rows_; first += rowsPerScale) {
      const auto begin = ranges.begin() + first;
      const auto range = std::accumulate(begin, begin + rowsPerScale, Range(), joined);
      std::fill_n(scales_.begin() + first, rowsPerScale, scaleOf(range));
    }
  }

  // Also sets the kept channels aside.
  void roundAt(int64_t index, std::vector<at::BFloat16>& made, bool hasOwnScale) {
    const int64_t padded = paddedBytes(inputs_);
    uint8_t* out = rounded_ + index * padded;
    withRow(index, made, [&](const auto& row) {
      if (hasOwnScale) scales_[index] = scaleOf(rangeOf(row));
      roundRow(out, row, scales_[index]);
      for (int64_t k = 0; k < keptCount_; ++k) {
        const float value = widen(row.values[channels_[k]]);
        kept_[index * keptCount_ + k] = factors_ == nullptr ? value : value * factors_[channels_[k]];
      }
    });
    std::fill(out + inputs_, out + padded, uint8_t{0});
    steps_[index] = scales_[index].step;
    zeroPoints_[index] = scales_[index].zeroPoint;
  }

  Int8Product product(int64_t first, int64_t rows) const {
    const auto& parts = weight_.parts();
    auto residual = residual_;
    residual.firstRow = first;
    return {.rows = rows,
            .inputs = inputs_,
            .outputs = weight_.outputs(),
            .x = rounded_ + first * paddedBytes(inputs_),
            .panels = weight_.panels().const_data_ptr(),
            .zeroPoints = zeroPoints_.data() + first,
            .steps = steps_.data() + first,
            .sums = weight_.sums().const_data_ptr<int32_t>(),
            .scales = parts.scales.const_data_ptr<float>(),
            .bias = bias_,
            .keptCount = keptCount_,
            .kept = kept_.data() + first * keptCount_,
            .columns = parts.columns.const_data_ptr<float>(),
            .activation = activation_,
            .residual = residual};
  }

  const at::Tensor& x_;
  const QuantisedWeight& weight_;
  const float* bias_;
  Activation activation_;
  Residual residual_;
  const ModulatedRows<at::BFloat16>* modulated_;
  int64_t rows_, inputs_, keptCount_;
  const float* factors_;
  const int64_t* channels_;
  std::vector<Scale> scales_;  // of each row
  // Of each row, as Int8Product takes them.
  at::Tensor room_;
  uint8_t* rounded_;  // in `room_`
  std::vector<float> kept_, steps_;
  std::vector<int32_t> zeroPoints_;
};

// Whose layers make norms and add residuals themselves.
bool isVnni(const QuantisedWeight& weight) { return weight.product() == QuantisedProduct::vnni; }

std::vector<int64_t> sizesOf(const at::Tensor& x, const QuantisedWeight& weight) {
  TORCH_CHECK(x.dim() > 0 && x.size(-1) == weight.inputs(), "quantised_linear: expected ", weight.inputs(),
              " channels, received ", x.sizes());
  auto sizes = x.sizes().vec();
  sizes.back() = weight.outputs();
  return sizes;
}

at::Tensor run(const at::Tensor& given, const QuantisedWeight& weight, const std::optional<at::Tensor>& bias,
               const std::string& activation, const Residual& residual,
               const ModulatedRows<at::BFloat16>* modulated = nullptr) {
  const auto sizes = sizesOf(given, weight);
  const auto kind = activationNamed(activation);
  if (given.numel() == 0) return at::empty(sizes, given.options().dtype(weight.dtype()));
  const ThreadsFor product(workOfProduct(given.numel(), weight.outputs()));
  auto x = given.reshape({-1, weight.inputs()}).contiguous();
  // at::linear takes one number for all outputs as well.
  const auto offset = bias ? std::optional(bias->expand({weight.outputs()})) : std::nullopt;
  const bool ofPicture = weight.scope() == ActivationScope::picture && given.dim() > 2;
  const int64_t rowsPerScale = ofPicture ? x.size(0) / given.size(0) : 1;
  if (!isVnni(weight)) return quantisedMatmul(x, weight, offset, activation, rowsPerScale).view(sizes);
  if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kBFloat16) x = x.to(at::kFloat);
  const auto wide = offset ? offset->to(at::kFloat).contiguous() : at::Tensor();
  const float* biasValues = wide.defined() ? wide.const_data_ptr<float>() : nullptr;
  const auto layer = [&](Activation after) {
    return Layer(x, weight, biasValues, after, residual, modulated).run(rowsPerScale).to(weight.dtype());
  };
  if (weight.dtype() != at::kHalf || kind == Activation::none) return layer(kind).view(sizes);
  // The tiles know no float16: of the result as it is rounded, as where a hook reads it in between.
  const auto plain = layer(Activation::none).view(sizes);
  return kind == Activation::geluTanh ? fastGelu(plain) : at::silu(plain);
}

}  // namespace

at::Tensor quantisedLinear(const at::Tensor& x, const c10::intrusive_ptr<QuantisedWeight>& weight,
                           const std::optional<at::Tensor>& bias, const std::string& activation) {
  if (isOfOutputs(bias)) return run(x, *weight, bias, activation, {});
  const auto plain = at::add(run(x, *weight, std::nullopt, "none", {}), *bias).to(weight->dtype());
  const auto kind = activationNamed(activation);
  return kind == Activation::geluTanh ? fastGelu(plain) : kind == Activation::swish ? at::silu(plain) : plain;
}

at::Tensor quantisedResidual(const at::Tensor& x, const c10::intrusive_ptr<QuantisedWeight>& weight,
                             const std::optional<at::Tensor>& bias, const at::Tensor& hidden, const at::Tensor& gate) {
  const auto sizes = sizesOf(x, *weight);
  const auto residual =
      isVnni(*weight) && isOfOutputs(bias) ? residualOf(hidden, gate, sizes, weight->dtype()) : std::nullopt;
  if (residual) return run(x, *weight, bias, "none", *residual);
  return gatedResidual(hidden, gate, quantisedLinear(x, weight, bias, "none"));
}

at::Tensor quantisedModulated(const at::Tensor& hidden, at::IntArrayRef normalizedShape,
                              const std::optional<at::Tensor>& normWeight, const std::optional<at::Tensor>& normBias,
                              double eps, const at::Tensor& scale, const at::Tensor& shift,
                              const c10::intrusive_ptr<QuantisedWeight>& weight, const std::optional<at::Tensor>& bias,
                              const std::string& activation) {
  const auto x = hidden.contiguous();
  const auto rows = isVnni(*weight) && isOfOutputs(bias)
                        ? modulatedRows<at::BFloat16>(x, normalizedShape, normWeight, normBias, eps, scale, shift)
                        : std::nullopt;
  if (rows) return run(x, *weight, bias, activation, {}, &*rows);
  return quantisedLinear(modulatedLayerNorm(x, normalizedShape, normWeight, normBias, eps, scale, shift), weight, bias,
                         activation);
}

}  // namespace dg
