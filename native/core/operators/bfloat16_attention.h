#pragma once

#include <ATen/core/Tensor.h>

namespace dg {

// Whether bfloat16Attention is used on this processor (product_way.h), and the tensors lie as it reads them: query
// [B, H, T, D], key and value [B, H, S, D], bfloat16, D even, channels side by side.
bool canBfloat16Attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value);

// softmax(scale · Q Kᵀ) V, a few queries after the other: their scores are float32 and never leave the caches. A
// query's result does not depend on the other queries. Result: [B, T, H, D].
at::Tensor bfloat16Attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, float scale);

}  // namespace dg
