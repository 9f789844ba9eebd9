#pragma once

#include <ATen/core/Tensor.h>

namespace dg {

// Whether tileAttention is used for the dtype on this processor (product_way.h), and the tensors lie as it reads them:
// query [B, H, T, D], key and value [B, H, S, D], channels side by side, of bfloat16 an even number.
bool canTileAttention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value);

// softmax(scale · Q Kᵀ) V, a few queries after the other: their scores are float32 and never leave the caches. A
// query's result does not depend on the other queries. Result: [B, T, H, D].
at::Tensor tileAttention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, float scale);

}  // namespace dg
