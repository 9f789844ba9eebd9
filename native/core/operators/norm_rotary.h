#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace dg {

// RMSNorm over the last axis, when `eps` is given, then the embedding, when `cosine` and `sine` are: float32,
// broadcast to x. This function computes with separate operators; a device may have a kernel for it (native/cuda).
at::Tensor normRotary(const at::Tensor& x, const std::optional<at::Tensor>& weight, std::optional<double> eps,
                      const std::optional<at::Tensor>& cosine, const std::optional<at::Tensor>& sine);

}  // namespace dg
