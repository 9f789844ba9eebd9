#include "native/core/operators/quantised_linear.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "native/core/operators/avx512.h"
#include "native/core/operators/int8_product.h"
#include "native/core/operators/rounding.h"
#include "native/core/operators/vectorise.h"

namespace dg {
namespace {

// Rows that a thread works on together: their 8 bit numbers stay near the processor.
constexpr int64_t kFewestRows = 16, kMostRows = 128;

// Inputs whose sums of products are sure to fit into 32 bits.
constexpr int64_t kMostInputs = 65536;

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
  Layer(const at::Tensor& x, const QuantisedWeight& weight, const float* bias, Activation activation)
      : x_(x), weight_(weight), bias_(bias), activation_(activation), rows_(x.size(0)), inputs_(x.size(1)) {
    const auto& inverse = weight.inverseSmoothing();
    inverse_ = inverse.defined() ? inverse.const_data_ptr<float>() : nullptr;
    channels_ = weight.parts().channels.const_data_ptr<int64_t>();
    keptCount_ = weight.parts().channels.numel();
    scales_.resize(rows_);
    rounded_ = at::empty({rows_, paddedInputs(inputs_)}, at::kByte);
    kept_ = at::empty({rows_, keptCount_}, at::kFloat);
    steps_ = at::empty({rows_}, at::kFloat);
    zeroPoints_ = at::empty({rows_}, at::kInt);
  }

  // `rowsPerScale`: 1, or the tokens of a picture.
  at::Tensor run(int64_t rowsPerScale) {
    if (rowsPerScale > 1) findScales(rowsPerScale);
    const auto dtype = weight_.dtype() == at::kBFloat16 ? at::kBFloat16 : at::kFloat;
    at::Tensor out = at::empty({rows_, weight_.outputs()}, x_.options().dtype(dtype));
    // As many for each thread.
    const int64_t threads = at::get_num_threads();
    const int64_t share = std::clamp((rows_ + threads - 1) / threads, kFewestRows, kMostRows);
    const int64_t chunks = ((rows_ + share - 1) / share + threads - 1) / threads * threads;
    const int64_t atOnce = std::max((rows_ + chunks - 1) / chunks, kFewestRows);
    at::parallel_for(0, (rows_ + atOnce - 1) / atOnce, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> row(inputs_);
      for (int64_t each = begin; each < end; ++each) {
        const int64_t first = each * atOnce, count = std::min(atOnce, rows_ - first);
        for (int64_t i = first; i < first + count; ++i) roundRowAt(i, row.data(), rowsPerScale == 1);
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
    at::parallel_for(0, rows_ / rowsPerScale, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> row(inputs_);
      for (int64_t group = begin; group < end; ++group) {
        Range range;
        for (int64_t each = group * rowsPerScale; each < (group + 1) * rowsPerScale; ++each) {
          read(each, row.data(), keptOf(each));
          widenRange(&range, row.data(), inputs_);
        }
        std::fill_n(scales_.begin() + group * rowsPerScale, rowsPerScale, scaleOf(range));
      }
    });
  }

  // `work`: room for a row.
  void roundRowAt(int64_t row, float* work, bool hasOwnScale) {
    read(row, work, keptOf(row));
    if (hasOwnScale) {
      Range range;
      widenRange(&range, work, inputs_);
      scales_[row] = scaleOf(range);
    }
    const auto& [step, inverse, zeroPoint] = scales_[row];
    steps_.data_ptr<float>()[row] = step;
    zeroPoints_.data_ptr<int32_t>()[row] = zeroPoint;
    const int64_t padded = paddedInputs(inputs_);
    uint8_t* out = rounded_.data_ptr<uint8_t>() + row * padded;
    roundRow(out, work, inverse, zeroPoint, inputs_);
    std::fill(out + inputs_, out + padded, uint8_t{0});
  }

  Int8Product product(int64_t first, int64_t rows) const {
    const auto& parts = weight_.parts();
    return {.rows = rows,
            .inputs = inputs_,
            .outputs = weight_.outputs(),
            .x = rounded_.const_data_ptr<uint8_t>() + first * paddedInputs(inputs_),
            .panels = weight_.panels().const_data_ptr<int8_t>(),
            .zeroPoints = zeroPoints_.const_data_ptr<int32_t>() + first,
            .steps = steps_.const_data_ptr<float>() + first,
            .sums = weight_.sums().const_data_ptr<int32_t>(),
            .scales = parts.scales.const_data_ptr<float>(),
            .bias = bias_,
            .keptCount = keptCount_,
            .kept = keptOf(first),
            .columns = parts.columns.const_data_ptr<float>(),
            .activation = activation_};
  }

  const at::Tensor& x_;
  const QuantisedWeight& weight_;
  const float* bias_;
  Activation activation_;
  int64_t rows_, inputs_, keptCount_;
  const float* inverse_;
  const int64_t* channels_;
  std::vector<Scale> scales_;                       // of each row
  at::Tensor rounded_, kept_, steps_, zeroPoints_;  // of each row, as Int8Product takes them
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
  panels_ = at::empty({panelBytes(outputs(), inputs_)}, at::kChar);
  packPanels(panels_.data_ptr<int8_t>(), first, outputs(), inputs_);
  parts_.values = at::Tensor();
}

int64_t QuantisedWeight::bytes() const {
  const auto sizeOf = [](const at::Tensor& tensor) -> int64_t { return tensor.defined() ? tensor.nbytes() : 0; };
  return sizeOf(panels_) + sizeOf(parts_.scales) + sizeOf(parts_.channels) + sizeOf(parts_.columns) +
         sizeOf(parts_.smoothing) + sizeOf(sums_) + sizeOf(inverse_);
}

at::Tensor quantisedLinear(const at::Tensor& given, const c10::intrusive_ptr<QuantisedWeight>& weight,
                           const std::optional<at::Tensor>& bias, const std::string& activation) {
  TORCH_CHECK(given.dim() > 0 && given.size(-1) == weight->inputs(), "quantised_linear: expected ", weight->inputs(),
              " channels, received ", given.sizes());
  auto sizes = given.sizes().vec();
  sizes.back() = weight->outputs();
  const auto kind = activationNamed(activation);
  if (given.numel() == 0) return at::empty(sizes, given.options().dtype(weight->dtype()));
  auto x = given.reshape({-1, weight->inputs()}).contiguous();
  if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kBFloat16) x = x.to(at::kFloat);
  const bool ofPicture = weight->scope() == QuantisedWeight::Scope::picture && given.dim() > 2;
  const auto wide = bias ? bias->to(at::kFloat).contiguous() : at::Tensor();
  const float* biasValues = wide.defined() ? wide.const_data_ptr<float>() : nullptr;
  const int64_t rowsPerScale = ofPicture ? x.size(0) / given.size(0) : 1;
  return Layer(x, *weight, biasValues, kind).run(rowsPerScale).to(weight->dtype()).view(sizes);
}

}  // namespace dg
