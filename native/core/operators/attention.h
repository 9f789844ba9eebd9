#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace dg {

// softmax(scale · Q Kᵀ) V without a mask; query [B, H, T, D], key and value [B, H, S, D]; scale: default 1/√D.
//
// On the CPU, where the scores of a picture fit into the caches: tile_attention.h where the processor has own products
// of the dtype (product_way.h); else in bfloat16, without AMX, two products of bfloat16 matrices by oneDNN with a
// softmax in float32 between them and scores rounded to bfloat16, a picture after the other. No picture depends on its
// neighbours. libtorch's own multiplies blocks of 32 queries by MKL, which takes twice the time where MKL has no
// bfloat16 kernels for the processor. Everything else is libtorch's scaled_dot_product_attention.
at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                     std::optional<double> scale);

}  // namespace dg
