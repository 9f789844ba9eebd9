#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "native/core/hooks/edit.h"

namespace dg {

// An edit with its tensors on the device, ready to be applied inside a model evaluation without a transfer.
class PreparedEdit {
 public:
  // `replayable`: everything that may change without another capture (model/graphed_computation.h) lies in tensors that
  // stay where they are; prepare() fills in what depends on the step. Otherwise `step` is looked up when the edit is
  // applied.
  PreparedEdit(const Edit& edit, at::Device device) : PreparedEdit(edit, device, device.is_cuda()) {}
  PreparedEdit(const Edit& edit, at::Device device, bool replayable);

  // Takes over the numbers of an edit of the same structure, in place. Throws what apply throws.
  void refill(const Edit& edit);

  // Before an evaluation of step `step`; nothing to do where the edit is not replayable.
  void prepare(int64_t step);

  // Changes `hidden` in place: [rows, tokens, channels] ([rows, heads, tokens, head channels] for queries and values).
  // `given` is what the module was given (skip) or the attention's values (identity), the same rows of it.
  // Throws CHANNEL_OUT_OF_RANGE, TOKEN_OUT_OF_RANGE, BAD_TENSOR.
  void apply(const at::Tensor& hidden, const at::Tensor& bypass, int64_t step) const;

  const Edit& edit() const { return edit_; }

 private:
  at::Tensor changed(const at::Tensor& chosen, const at::Tensor& rows, const at::Tensor& bypass, int64_t step) const;
  at::Tensor retained(const at::Tensor& chosen, int64_t step) const;
  at::Tensor matched(const at::Tensor& chosen, const at::Tensor& rows, int64_t step) const;
  double retentionAt(int64_t step) const;
  at::Tensor order(int64_t count, int64_t step, at::Device device) const;
  at::Tensor choose(const at::Tensor& rows) const;
  void put(at::Tensor& rows, const at::Tensor& values) const;
  void checkRange(const at::Tensor& rows) const;
  at::Tensor lastTokensOf(const at::Tensor& hidden) const;

  Edit edit_;
  at::Device device_;
  bool replayable_;
  at::Tensor channels_, tokens_, reference_, scale_, shift_, source_;
  // Of a replayable edit.
  at::Tensor retentions_, retention_;                    // ρ of every step, and of the present one
  mutable at::Tensor order_;                             // shuffle: the present permutation
  mutable int64_t presentStep_ = 0;                      // that order_ is for
  mutable int64_t channelsSeen_ = -1, tokensSeen_ = -1;  // of the hidden state it was applied to
};

}  // namespace dg
