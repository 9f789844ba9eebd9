#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace dg {

// LayerNorm over the last axis on the CPU, with an adaLN's scale and shift in the same pass, in bfloat16 and, where the
// package multiplies float32 itself (product_way.h), in float32; libtorch's for anything else. Mean and variance are
// float32; it rounds after the norm, the scale and the shift, as separate operators do, so that the chain is
// layerNorm's result scaled and shifted, to the last bit.

// As at::layer_norm.
at::Tensor layerNorm(const at::Tensor& x, at::IntArrayRef normalizedShape, const std::optional<at::Tensor>& weight,
                     const std::optional<at::Tensor>& bias, double eps);

// The rows of LN(x) · scale + shift, for whoever wants them one by one. T: float or BFloat16.
template <typename T>
struct ModulatedRows {
  struct Channels {
    const T* first = nullptr;  // null: there are none
    int64_t stride = 0;        // to those of the next picture

    const T* of(int64_t picture) const { return first == nullptr ? nullptr : first + picture * stride; }
  };

  const T* x;  // [rows, channels]
  int64_t channels;
  int64_t tokens;  // rows of a picture
  float eps;
  Channels weight{}, bias{}, scale{}, shift{};

  void write(T* out, int64_t row) const;
};

// Without scale and shift. Nullopt where there are no such rows: other processors, dtypes, shapes. `x` is contiguous.
template <typename T>
std::optional<ModulatedRows<T>> normalisedRows(const at::Tensor& x, at::IntArrayRef normalizedShape,
                                               const std::optional<at::Tensor>& weight,
                                               const std::optional<at::Tensor>& bias, double eps);

// All of them. `like`: of the sizes of the result, contiguous.
template <typename T>
at::Tensor written(const ModulatedRows<T>& rows, const at::Tensor& like);

}  // namespace dg
