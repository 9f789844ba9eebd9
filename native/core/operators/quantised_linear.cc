#include "native/core/operators/quantised_linear.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/cpu/Utils.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "native/core/operators/gelu.h"
#include "native/core/operators/rounding.h"
#include "native/core/operators/vectorise.h"

namespace dg {
namespace {

// Rows that a thread works on together: with 1536 outputs, 0.8 MB of products.
constexpr int64_t kFewestRows = 16, kMostRows = 128;

at::Tensor call(const char* name, torch::jit::Stack stack) {
  c10::Dispatcher::singleton().findSchemaOrThrow(name, "").callBoxed(&stack);
  return stack.at(0).toTensor();
}

// float as a whole number in the same order, not-a-number beyond the infinities: a maximum of these vectorises.
DG_INLINE int32_t ordered(float value) {
  const auto bits = std::bit_cast<int32_t>(value);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}
DG_INLINE float fromOrdered(int32_t value) { return std::bit_cast<float>(value ^ ((value >> 31) & 0x7fffffff)); }

// A row as float32, scaled by `inverse` where there is one.
template <typename T>
DG_INLINE void widenAs(float* out, const T* x, const float* inverse, int64_t count) {
  if (inverse == nullptr) {
    for (int64_t i = 0; i < count; ++i) out[i] = widen(x[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) out[i] = widen(x[i]) * inverse[i];
  }
}
DG_VECTORISED void widenRow(float* out, const float* x, const float* inverse, int64_t count) {
  widenAs(out, x, inverse, count);
}
DG_VECTORISED void widenRow(float* out, const at::BFloat16* x, const float* inverse, int64_t count) {
  widenAs(out, x, inverse, count);
}

struct Range {
  int32_t least = 0, largest = 0;  // as `ordered` has them; 0 is always inside
};

DG_VECTORISED void widenRange(Range* range, const float* x, int64_t count) {
  int32_t least = range->least, largest = range->largest;
  for (int64_t i = 0; i < count; ++i) {
    const int32_t value = ordered(x[i]);
    least = value < least ? value : least;
    largest = value > largest ? value : largest;
  }
  *range = {least, largest};
}

struct Scale {
  float step = 1;         // NaN where the values are not finite
  float inverse = 0;      // 0 there
  int32_t zeroPoint = 0;  // the whole number that stands for 0
};

Scale scaleOf(const Range& range) {
  const float least = fromOrdered(range.least), largest = fromOrdered(range.largest);
  if (!std::isfinite(least) || !std::isfinite(largest)) return {std::numeric_limits<float>::quiet_NaN(), 0, 0};
  // Each over 255 first: their difference may be infinite.
  const float step = largest / 255.0f - least / 255.0f;
  if (!(step >= std::numeric_limits<float>::min())) return {};
  return {step, 1.0f / step, static_cast<int32_t>(std::nearbyint(-least / step))};
}

DG_VECTORISED void roundRow(uint8_t* out, const float* x, float inverse, int32_t zeroPoint, int64_t count) {
  constexpr float kRounding = 12582912.0f;  // 1.5 · 2²³: adding it rounds to a whole number, ties to even
  const int32_t offset = zeroPoint - std::bit_cast<int32_t>(kRounding);
  for (int64_t i = 0; i < count; ++i) {
    int32_t value = std::bit_cast<int32_t>(x[i] * inverse + kRounding) + offset;
    value = value < 0 ? 0 : value;
    value = value > 255 ? 255 : value;
    out[i] = static_cast<uint8_t>(value);
  }
}

// What a row of the product becomes.
struct RowTerms {
  float step, shift;  // step · (product − shift · sums)
  const float *sums, *bias, *kept, *columns;
  int64_t keptCount;
};

template <typename T>
DG_INLINE void finishAs(T* out, float* row, const RowTerms& terms, int activation, int64_t count) {
  const float step = terms.step, shift = terms.shift;
  const float *sums = terms.sums, *bias = terms.bias;
  if (bias == nullptr) {
    for (int64_t i = 0; i < count; ++i) row[i] = step * (row[i] - shift * sums[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) row[i] = step * (row[i] - shift * sums[i]) + bias[i];
  }
  for (int64_t k = 0; k < terms.keptCount; ++k) {
    const float value = terms.kept[k];
    const float* column = terms.columns + k * count;
    for (int64_t i = 0; i < count; ++i) row[i] += value * column[i];
  }
  if (activation == 0) {
    for (int64_t i = 0; i < count; ++i) out[i] = rounded<T>(row[i]);
  } else if (activation == 1) {
    for (int64_t i = 0; i < count; ++i) out[i] = rounded<T>(geluOf(widen(rounded<T>(row[i]))));
  } else {
    for (int64_t i = 0; i < count; ++i) out[i] = rounded<T>(siluOf(widen(rounded<T>(row[i]))));
  }
}
DG_VECTORISED void finishRow(float* out, float* row, const RowTerms& terms, int activation, int64_t count) {
  finishAs(out, row, terms, activation, count);
}
DG_VECTORISED void finishRow(at::BFloat16* out, float* row, const RowTerms& terms, int activation, int64_t count) {
  finishAs(out, row, terms, activation, count);
}

// at::sum would hold all of it in 64 bits meanwhile.
DG_VECTORISED int32_t sumOf(const int8_t* values, int64_t count) {
  int32_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += values[i];
  return sum;
}

int activationNamed(const std::string& name) {
  if (name == "none") return 0;
  TORCH_CHECK(name == "gelu_tanh" || name == "swish", "quantised_linear: no activation ", name);
  return name == "gelu_tanh" ? 1 : 2;
}

// A layer's work on x [rows, inputs]. Every thread does rows of its own from beginning to end, a few at a time, so that
// what is between rounding, product and last pass stays near the processor.
template <typename T>
class Layer {
 public:
  Layer(const at::Tensor& x, const QuantisedWeight& weight, const float* bias, int activation)
      : x_(x), weight_(weight), bias_(bias), activation_(activation), inputs_(x.size(1)) {
    const auto& inverse = weight.inverseSmoothing();
    inverse_ = inverse.defined() ? inverse.const_data_ptr<float>() : nullptr;
    channels_ = weight.parts().channels.const_data_ptr<int64_t>();
    keptCount_ = weight.parts().channels.numel();
  }

  // `rowsPerScale`: 1, or the tokens of a picture.
  at::Tensor run(int64_t rowsPerScale) {
    const int64_t rows = x_.size(0), outputs = weight_.outputs();
    if (rowsPerScale > 1) findScales(rowsPerScale);
    at::Tensor out = at::empty({rows, outputs}, x_.options().dtype(c10::CppTypeToScalarType<T>::value));
    const int64_t share = (rows + at::get_num_threads() - 1) / at::get_num_threads();
    const int64_t atOnce = std::clamp(share, kFewestRows, kMostRows);
    at::parallel_for(0, (rows + atOnce - 1) / atOnce, 1, [&](int64_t begin, int64_t end) {
      const at::NoGradGuard noGrad;
      for (int64_t each = begin; each < end; ++each) {
        const int64_t first = each * atOnce;
        runRows(first, std::min(atOnce, rows - first), out.data_ptr<T>() + first * outputs);
      }
    });
    return out;
  }

 private:
  // A row as float32, with the kept channels set aside.
  void read(int64_t row, float* out, float* kept) const {
    if (x_.scalar_type() == at::kFloat) {
      widenRow(out, x_.const_data_ptr<float>() + row * inputs_, inverse_, inputs_);
    } else {
      widenRow(out, x_.const_data_ptr<at::BFloat16>() + row * inputs_, inverse_, inputs_);
    }
    for (int64_t k = 0; k < keptCount_; ++k) {
      kept[k] = out[channels_[k]];
      out[channels_[k]] = 0;
    }
  }

  void findScales(int64_t rowsPerScale) {
    scales_.resize(x_.size(0));
    at::parallel_for(0, x_.size(0) / rowsPerScale, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> row(inputs_), kept(keptCount_);
      for (int64_t group = begin; group < end; ++group) {
        Range range;
        for (int64_t each = group * rowsPerScale; each < (group + 1) * rowsPerScale; ++each) {
          read(each, row.data(), kept.data());
          widenRange(&range, row.data(), inputs_);
        }
        std::fill_n(scales_.begin() + group * rowsPerScale, rowsPerScale, scaleOf(range));
      }
    });
  }

  void runRows(int64_t first, int64_t count, T* out) const {
    const int64_t outputs = weight_.outputs();
    std::vector<float> row(inputs_), kept(count * keptCount_);
    std::vector<Scale> scales(count);
    auto rounded = at::empty({count, inputs_}, at::kByte);
    for (int64_t each = 0; each < count; ++each) {
      read(first + each, row.data(), kept.data() + each * keptCount_);
      if (scales_.empty()) {
        Range range;
        widenRange(&range, row.data(), inputs_);
        scales[each] = scaleOf(range);
      } else {
        scales[each] = scales_[first + each];
      }
      roundRow(rounded.data_ptr<uint8_t>() + each * inputs_, row.data(), scales[each].inverse, scales[each].zeroPoint,
               inputs_);
    }
    const c10::List<std::optional<at::Scalar>> scalars;
    const auto product = call("onednn::qlinear_pointwise",
                              {rounded, 1.0, 0, weight_.packed(), weight_.parts().scales, weight_.zeroPoints(),
                               c10::IValue(), 1.0, 0, at::kFloat, "none", scalars, ""});
    for (int64_t each = 0; each < count; ++each) {
      const RowTerms terms{scales[each].step,
                           static_cast<float>(scales[each].zeroPoint),
                           weight_.sums().const_data_ptr<float>(),
                           bias_,
                           kept.data() + each * keptCount_,
                           weight_.parts().columns.const_data_ptr<float>(),
                           keptCount_};
      finishRow(out + each * outputs, product.data_ptr<float>() + each * outputs, terms, activation_, outputs);
    }
  }

  const at::Tensor& x_;
  const QuantisedWeight& weight_;
  const float* bias_;
  int activation_;
  int64_t inputs_, keptCount_;
  const float* inverse_;
  const int64_t* channels_;
  std::vector<Scale> scales_;  // of each row, where rows share one
};

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
  if (!c10::Dispatcher::singleton().findSchema({"onednn::qlinear_prepack", ""})) {
    return "this libtorch has no oneDNN";
  }
  if (!at::cpu::is_avx512_vnni_supported()) return "this processor has no AVX-512 VNNI instructions";
  return std::nullopt;
}

QuantisedWeight::QuantisedWeight(QuantisedParts parts, Scope scope, at::ScalarType dtype)
    : parts_(std::move(parts)), inputs_(parts_.values.size(1)), scope_(scope), dtype_(dtype) {
  sums_ = at::empty({outputs()}, at::kFloat);
  for (int64_t row = 0; row < outputs(); ++row) {
    sums_.data_ptr<float>()[row] =
        static_cast<float>(sumOf(parts_.values.const_data_ptr<int8_t>() + row * inputs_, inputs_));
  }
  sums_.mul_(parts_.scales);
  zeroPoints_ = at::zeros({outputs()}, at::kLong);
  if (parts_.smoothing.defined()) inverse_ = parts_.smoothing.reciprocal();
  packed_ = call("onednn::qlinear_prepack", {parts_.values, c10::IValue()});
  parts_.values = at::Tensor();
}

int64_t QuantisedWeight::bytes() const {
  const auto sizeOf = [](const at::Tensor& tensor) -> int64_t { return tensor.defined() ? tensor.nbytes() : 0; };
  return outputs() * inputs_ + sizeOf(parts_.scales) + sizeOf(parts_.channels) + sizeOf(parts_.columns) +
         sizeOf(parts_.smoothing) + sizeOf(sums_) + sizeOf(zeroPoints_) + sizeOf(inverse_);
}

at::Tensor quantisedLinear(const at::Tensor& given, const c10::intrusive_ptr<QuantisedWeight>& weight,
                           const std::optional<at::Tensor>& bias, const std::string& activation) {
  TORCH_CHECK(given.dim() > 0 && given.size(-1) == weight->inputs(), "quantised_linear: expected ", weight->inputs(),
              " channels, received ", given.sizes());
  auto sizes = given.sizes().vec();
  sizes.back() = weight->outputs();
  const int activationKind = activationNamed(activation);
  if (given.numel() == 0) return at::empty(sizes, given.options().dtype(weight->dtype()));
  auto x = given.reshape({-1, weight->inputs()}).contiguous();
  if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kBFloat16) x = x.to(at::kFloat);
  const bool ofPicture = weight->scope() == QuantisedWeight::Scope::picture && given.dim() > 2;
  const auto wide = bias ? bias->to(at::kFloat).contiguous() : at::Tensor();
  const float* biasValues = wide.defined() ? wide.const_data_ptr<float>() : nullptr;
  const int64_t rowsPerScale = ofPicture ? x.size(0) / given.size(0) : 1;
  const auto out = weight->dtype() == at::kBFloat16
                       ? Layer<at::BFloat16>(x, *weight, biasValues, activationKind).run(rowsPerScale)
                       : Layer<float>(x, *weight, biasValues, activationKind).run(rowsPerScale);
  return out.to(weight->dtype()).view(sizes);
}

}  // namespace dg
