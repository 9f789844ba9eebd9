#include "native/core/hooks/attention_mass.h"

#include <ATen/Functions.h>

#include <cmath>
#include <limits>

#include "native/core/error.h"

namespace dg {
namespace {

// The mask of one head of one row, broadcast from whatever dimensions it has.
at::Tensor maskOf(const at::Tensor& mask, int64_t row, int64_t head) {
  auto own = mask;
  while (own.dim() > 2) {
    const auto index = own.dim() == 4 ? row : mask.dim() == 4 ? head : row;
    own = own.select(0, own.size(0) == 1 ? 0 : index);
  }
  return own;
}

}  // namespace

AttentionInputs rowsOf(const AttentionInputs& inputs, int64_t first, int64_t rows) {
  auto own = inputs;
  own.query = inputs.query.narrow(0, first, rows);
  own.key = inputs.key.narrow(0, first, rows);
  const bool perRow = inputs.mask && inputs.mask->dim() > 2 && inputs.mask->size(0) == inputs.query.size(0);
  if (perRow) own.mask = inputs.mask->narrow(0, first, rows);
  return own;
}

at::Tensor attentionMass(const AttentionInputs& inputs) {
  const auto &query = inputs.query, &key = inputs.key;
  if (query.dim() != 4 || key.dim() != 4) {
    throw Error("BAD_TENSOR", "The attention's queries have " + std::to_string(query.dim()) +
                                  " axes: attention mass needs [rows, heads, tokens, head channels].");
  }
  const double scale = inputs.scale.value_or(1 / std::sqrt(static_cast<double>(query.size(3))));
  const int64_t rows = query.size(0), heads = query.size(1);
  const int64_t queriesOfKey = heads / key.size(1);  // grouped-query attention shares keys
  auto mass = at::zeros({rows, key.size(2)}, at::TensorOptions(at::kFloat).device(query.device()));
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t head = 0; head < heads; ++head) {
      const auto q = query.select(0, row).select(0, head).to(at::kFloat);
      const auto k = key.select(0, row).select(0, head / queriesOfKey).to(at::kFloat);
      auto scores = at::matmul(q, k.t()).mul_(scale);
      if (inputs.causal) {
        const auto allowed = at::ones(scores.sizes(), scores.options().dtype(at::kBool)).tril();
        scores.masked_fill_(allowed.logical_not(), -std::numeric_limits<float>::infinity());
      }
      if (inputs.mask) {
        const auto mask = maskOf(*inputs.mask, row, head);
        if (mask.scalar_type() == at::kBool) {
          scores.masked_fill_(mask.logical_not(), -std::numeric_limits<float>::infinity());
        } else {
          scores.add_(mask);
        }
      }
      mass[row].add_(scores.softmax(-1).mean(0));
    }
  }
  return mass.div_(static_cast<double>(heads));
}

}  // namespace dg
