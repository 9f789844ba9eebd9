#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "native/core/operators/epilogue.h"
#include "native/core/operators/layer_norm.h"

namespace dg {

// The memory-bound chains of a DiT block as one pass over the hidden state each. On the CPU in float32 and bfloat16
// they round where the separate operators do, so the result is theirs to the last bit, with layerNorm in place of
// at::layer_norm; only bfloat16 that is smaller than any normal number may become 0 (avx512.h). On CUDA native/cuda has
// kernels that round once. Anywhere else (other dtypes, devices, shapes) they are the separate operators. The result is
// contiguous: a convolution leaves a transposed hidden state, and every sum with it would be transposed too.

// LN(x) · scale + shift; x: [B, N, C], scale and shift: [B, 1, C].
at::Tensor modulatedLayerNorm(const at::Tensor& x, at::IntArrayRef normalizedShape,
                              const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                              double eps, const at::Tensor& scale, const at::Tensor& shift);

// The rows of that, for a layer that makes them itself; nullopt where it does not fit. What they point to belongs to
// the tensors.
template <typename T>
std::optional<ModulatedRows<T>> modulatedRows(const at::Tensor& x, at::IntArrayRef normalizedShape,
                                              const std::optional<at::Tensor>& weight,
                                              const std::optional<at::Tensor>& bias, double eps,
                                              const at::Tensor& scale, const at::Tensor& shift);

// x + a · b; one of a and b is [B, 1, C], the other is like x: [B, N, C].
at::Tensor gatedResidual(const at::Tensor& x, const at::Tensor& a, const at::Tensor& b);

// x + gate · product for a product that adds itself (epilogue.h), of the same sizes as x; nullopt where it does not
// fit. What it points to belongs to the tensors.
std::optional<Residual> residualOf(const at::Tensor& x, const at::Tensor& gate, at::IntArrayRef product,
                                   at::ScalarType dtype);

}  // namespace dg
