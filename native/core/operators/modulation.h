#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace dg {

// The memory-bound chains of a DiT block as one pass over the hidden state each. On the CPU in float32 and bfloat16
// they round where the separate operators do, so the result is theirs to the last bit. On CUDA native/cuda has kernels
// that round once. Anywhere else (other dtypes, devices, shapes) they are the separate operators. The result is
// contiguous: a convolution leaves a transposed hidden state, and every sum with it would be transposed too.

// LN(x) · scale + shift; x: [B, N, C], scale and shift: [B, 1, C].
at::Tensor modulatedLayerNorm(const at::Tensor& x, at::IntArrayRef normalizedShape,
                              const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                              double eps, const at::Tensor& scale, const at::Tensor& shift);

// x + a · b; one of a and b is [B, 1, C], the other is like x: [B, N, C].
at::Tensor gatedResidual(const at::Tensor& x, const at::Tensor& a, const at::Tensor& b);

}  // namespace dg
