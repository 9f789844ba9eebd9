#include "native/core/operators/modulation.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "native/core/operators/layer_norm.h"
#include "native/core/operators/number_type.h"
#include "native/core/operators/rounding.h"
#include "native/core/operators/threads.h"
#include "native/core/operators/vectorise.h"

namespace dg {
namespace {

// Tokens of a hidden state that a thread works on together.
constexpr int64_t kRowsAtOnce = 64;

// Each product and sum is rounded on its own (-ffp-contract=off), as the separate operators do.
template <typename T>
DG_INLINE void scaleAndShiftAs(T* x, const T* scale, const T* shift, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    x[i] = rounded<T>(widen(rounded<T>(widen(x[i]) * widen(scale[i]))) + widen(shift[i]));
  }
}

template <typename T>
DG_INLINE void addGatedAs(T* out, const T* x, const T* gate, const T* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = rounded<T>(widen(x[i]) + widen(rounded<T>(widen(gate[i]) * widen(y[i]))));
  }
}

// Clones for processors are made of plain functions alone.
DG_VECTORISED void scaleAndShift(float* x, const float* scale, const float* shift, int64_t count) {
  scaleAndShiftAs(x, scale, shift, count);
}
DG_VECTORISED void scaleAndShift(at::BFloat16* x, const at::BFloat16* scale, const at::BFloat16* shift, int64_t count) {
  scaleAndShiftAs(x, scale, shift, count);
}
DG_VECTORISED void addGated(float* out, const float* x, const float* gate, const float* y, int64_t count) {
  addGatedAs(out, x, gate, y, count);
}
DG_VECTORISED void addGated(at::BFloat16* out, const at::BFloat16* x, const at::BFloat16* gate, const at::BFloat16* y,
                            int64_t count) {
  addGatedAs(out, x, gate, y, count);
}

bool isHiddenState(const at::Tensor& x) {
  const bool isKnown = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  return x.dim() == 3 && x.is_cpu() && isKnown && x.numel() > 0;
}

// One value a channel for every row of the batch: [B, 1, C] or [1, 1, C].
bool isPerChannel(const at::Tensor& value, const at::Tensor& x) {
  return value.dim() == 3 && value.is_cpu() && value.scalar_type() == x.scalar_type() && value.size(1) == 1 &&
         value.size(2) == x.size(2) && (value.size(0) == x.size(0) || value.size(0) == 1) && value.stride(2) == 1;
}

template <typename T>
const T* channelsOf(const at::Tensor& value, int64_t row) {
  return value.const_data_ptr<T>() + (value.size(0) == 1 ? 0 : row * value.stride(0));
}

// Calls work(row of the batch, first token, tokens) over chunks of the tokens, counted through all rows, on all
// threads.
template <typename Work>
void overChunks(const at::Tensor& x, Work work) {
  const int64_t tokens = x.size(1);
  const int64_t perRow = (tokens + kRowsAtOnce - 1) / kRowsAtOnce;
  at::parallel_for(0, x.size(0) * perRow, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t row = chunk / perRow, first = chunk % perRow * kRowsAtOnce;
      work(row, row * tokens + first, std::min(kRowsAtOnce, tokens - first));
    }
  });
}

}  // namespace

template <typename T>
std::optional<ModulatedRows<T>> modulatedRows(const at::Tensor& x, at::IntArrayRef normalizedShape,
                                              const std::optional<at::Tensor>& weight,
                                              const std::optional<at::Tensor>& bias, double eps,
                                              const at::Tensor& scale, const at::Tensor& shift) {
  if (!isHiddenState(x) || !isPerChannel(scale, x) || !isPerChannel(shift, x)) return std::nullopt;
  auto rows = normalisedRows<T>(x, normalizedShape, weight, bias, eps);
  if (!rows) return std::nullopt;
  rows->tokens = x.size(1);
  for (const auto& [given, into] : {std::pair{&scale, &rows->scale}, {&shift, &rows->shift}}) {
    *into = {given->template const_data_ptr<T>(), given->size(0) == 1 ? 0 : given->stride(0)};
  }
  return rows;
}

template std::optional<ModulatedRows<float>> modulatedRows(const at::Tensor&, at::IntArrayRef,
                                                           const std::optional<at::Tensor>&,
                                                           const std::optional<at::Tensor>&, double, const at::Tensor&,
                                                           const at::Tensor&);
template std::optional<ModulatedRows<at::BFloat16>> modulatedRows(const at::Tensor&, at::IntArrayRef,
                                                                  const std::optional<at::Tensor>&,
                                                                  const std::optional<at::Tensor>&, double,
                                                                  const at::Tensor&, const at::Tensor&);

at::Tensor modulatedLayerNorm(const at::Tensor& hidden, at::IntArrayRef normalizedShape,
                              const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                              double eps, const at::Tensor& scale, const at::Tensor& shift) {
  const bool fits = isHiddenState(hidden) && normalizedShape.size() == 1 && isPerChannel(scale, hidden) &&
                    isPerChannel(shift, hidden);
  if (!fits) return at::add(at::mul(layerNorm(hidden, normalizedShape, weight, bias, eps), scale), shift);
  const ThreadsFor pass(workOfPass(hidden.numel()));
  const auto x = hidden.contiguous();
  const auto inOnePass = [&](auto as) -> std::optional<at::Tensor> {
    const auto rows = modulatedRows<decltype(as)>(x, normalizedShape, weight, bias, eps, scale, shift);
    return rows ? std::optional(written(*rows, x)) : std::nullopt;
  };
  if (const auto done = withNumber(x.scalar_type(), inOnePass)) return *done;
  auto result = at::layer_norm(x, normalizedShape, weight, bias, eps);
  withNumber(result.scalar_type(), [&](auto as) {
    using T = decltype(as);
    T* out = result.data_ptr<T>();
    const int64_t channels = result.size(2);
    overChunks(result, [&](int64_t row, int64_t firstToken, int64_t count) {
      for (int64_t token = firstToken; token < firstToken + count; ++token) {
        scaleAndShift(out + token * channels, channelsOf<T>(scale, row), channelsOf<T>(shift, row), channels);
      }
    });
  });
  return result;
}

at::Tensor gatedResidual(const at::Tensor& hidden, const at::Tensor& a, const at::Tensor& b) {
  const auto isBranch = [&](const at::Tensor& y) {
    return y.sizes().equals(hidden.sizes()) && y.scalar_type() == hidden.scalar_type() && isHiddenState(y);
  };
  const bool first = isHiddenState(hidden) && isPerChannel(a, hidden) && isBranch(b);
  const bool second = !first && isHiddenState(hidden) && isPerChannel(b, hidden) && isBranch(a);
  if (!first && !second) return at::add(hidden, at::mul(a, b));
  const ThreadsFor pass(workOfPass(hidden.numel()));
  const auto x = hidden.contiguous(), branch = (first ? b : a).contiguous();
  const auto& gate = first ? a : b;
  auto result = at::empty_like(x);
  withNumber(x.scalar_type(), [&](auto as) {
    using T = decltype(as);
    T* out = result.data_ptr<T>();
    const T *from = x.const_data_ptr<T>(), *added = branch.const_data_ptr<T>();
    const int64_t channels = x.size(2);
    overChunks(x, [&](int64_t row, int64_t firstToken, int64_t count) {
      for (int64_t token = firstToken; token < firstToken + count; ++token) {
        addGated(out + token * channels, from + token * channels, channelsOf<T>(gate, row), added + token * channels,
                 channels);
      }
    });
  });
  return result;
}

std::optional<Residual> residualOf(const at::Tensor& x, const at::Tensor& gate, at::IntArrayRef product,
                                   at::ScalarType dtype) {
  const bool fits = x.scalar_type() == dtype && isHiddenState(x) && x.is_contiguous() && x.sizes() == product &&
                    isPerChannel(gate, x);
  if (!fits) return std::nullopt;
  return Residual{x.const_data_ptr(), gate.const_data_ptr(), x.size(1), gate.size(0) == 1 ? 0 : gate.stride(0)};
}

}  // namespace dg
