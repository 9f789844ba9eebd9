#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace dg {

// What scaled_dot_product_attention was called with.
struct AttentionInputs {
  at::Tensor query, key;  // [rows, heads, tokens, head channels]
  std::optional<at::Tensor> mask;
  bool causal = false;
  std::optional<double> scale;
};

// The rows of one branch.
AttentionInputs rowsOf(const AttentionInputs& inputs, int64_t first, int64_t rows);

// How much attention falls on every key token: softmax(scale · q kᵀ + mask), averaged over heads and queries. float32
// [rows, key tokens]; every row adds up to 1. One head of one row is in memory at a time.
at::Tensor attentionMass(const AttentionInputs& inputs);

}  // namespace dg
