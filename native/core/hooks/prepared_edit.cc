#include "native/core/hooks/prepared_edit.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "native/core/device/device.h"
#include "native/core/error.h"
#include "native/core/hooks/token_blur.h"

namespace dg {
namespace {

std::string shapeText(const at::Tensor& tensor) {
  std::string text = "[";
  for (const auto size : tensor.sizes()) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

at::Tensor indexTensor(const std::vector<int64_t>& indices, at::Device device) {
  return toDevice(at::tensor(indices, at::kLong), device);
}

at::Tensor valueTensor(const std::vector<double>& values, at::Device device) {
  return toDevice(at::tensor(values, at::kDouble).to(at::kFloat), device);
}

// The same permutation for every row and channel; a new one at every step.
at::Tensor permutation(int64_t count, uint64_t seed, int64_t step, at::Device device) {
  auto generator = at::detail::createCPUGenerator(seed + 0x9E3779B97F4A7C15ULL * static_cast<uint64_t>(step));
  return toDevice(at::randperm(count, generator, at::TensorOptions(at::kLong)), device);
}

}  // namespace

PreparedEdit::PreparedEdit(const Edit& edit, at::Device device, bool replayable)
    : edit_(edit), device_(device), replayable_(replayable) {
  if (edit.channels) channels_ = indexTensor(*edit.channels, device);
  if (edit.tokens) tokens_ = indexTensor(*edit.tokens, device);
  if (!edit.reference.empty()) reference_ = indexTensor(edit.reference, device);
  if (!edit.scale.empty()) scale_ = valueTensor(edit.scale, device);
  if (!edit.shift.empty()) shift_ = valueTensor(edit.shift, device);
  if (edit.source.defined()) source_ = toDevice(edit.source, device);
  const bool retains = edit.operation == Operation::retain || edit.operation == Operation::match;
  if (!replayable_ || !retains) return;
  retentions_ = valueTensor(edit.retention.empty() ? std::vector<double>{0} : edit.retention, device);
  retention_ = retentions_.narrow(0, 0, 1).clone();
}

void PreparedEdit::refill(const Edit& edit) {
  if (channelsSeen_ >= 0) requireInRange(edit, channelsSeen_, tokensSeen_);
  const auto replace = [](at::Tensor& present, const at::Tensor& replacement) {
    if (present.defined()) present.copy_(replacement, /*non_blocking=*/true);
  };
  const PreparedEdit replacement(edit, device_, replayable_);
  replace(channels_, replacement.channels_);
  replace(tokens_, replacement.tokens_);
  replace(reference_, replacement.reference_);
  replace(scale_, replacement.scale_);
  replace(shift_, replacement.shift_);
  replace(source_, replacement.source_);
  retentions_ = replacement.retentions_;  // read by prepare() alone: it may lie elsewhere and be of another length
  edit_ = edit;
  presentStep_ = -1;
}

void PreparedEdit::prepare(int64_t step) {
  if (!replayable_) return;
  if (retentions_.defined()) {
    retention_.copy_(retentions_.narrow(0, std::min<int64_t>(step, retentions_.size(0) - 1), 1));
  }
  if (order_.defined() && presentStep_ != step) {
    order_.copy_(permutation(order_.size(0), edit_.seed, step, order_.device()), /*non_blocking=*/true);
  }
  presentStep_ = step;
}

at::Tensor PreparedEdit::retained(const at::Tensor& chosen, int64_t step) const {
  // Zeroing writes zeros even where z is infinite or not a number.
  if (retention_.defined()) {
    const auto rho = retention_.reshape({});
    return at::where(rho == 0, at::zeros_like(chosen), chosen * rho);
  }
  const double rho = retentionAt(step);
  return rho == 0 ? at::zeros_like(chosen) : chosen * rho;
}

double PreparedEdit::retentionAt(int64_t step) const {
  const auto& table = edit_.retention;
  return table.empty() ? 0 : table[std::min<size_t>(step, table.size() - 1)];
}

// The channels of the reference would move by (1 − ρ_t) · z: the chosen ones shrink by that norm, token by token.
at::Tensor PreparedEdit::matched(const at::Tensor& chosen, const at::Tensor& rows, int64_t step) const {
  const auto reference = tokens_.defined() ? rows.index_select(-2, tokens_) : rows;
  auto target = reference.index_select(-1, reference_).to(at::kFloat).norm(2, -1, true);
  if (retention_.defined()) {
    target = target * (1 - retention_.reshape({})).abs();
  } else if (const double rho = retentionAt(step); rho != 0) {
    target = target * std::abs(1 - rho);
  }
  const auto present = chosen.to(at::kFloat);
  const auto norm = present.norm(2, -1, true).clamp_min(1e-12);
  return (present - present * (target / norm)).to(chosen.scalar_type());
}

at::Tensor PreparedEdit::order(int64_t count, int64_t step, at::Device device) const {
  if (!replayable_) return permutation(count, edit_.seed, step, device);
  if (!order_.defined() || order_.size(0) != count) {
    order_ = permutation(count, edit_.seed, step, device);
    presentStep_ = step;
  }
  return order_;
}

void PreparedEdit::checkRange(const at::Tensor& rows) const {
  if (rows.dim() < 2) {
    throw Error("BAD_TENSOR", edit_.path + " gives a tensor of shape " + shapeText(rows) +
                                  ": an edit needs [rows, tokens, channels] or [rows, channels].");
  }
  requireInRange(edit_, rows.size(-1), rows.size(-2));
  channelsSeen_ = rows.size(-1);
  tokensSeen_ = rows.size(-2);
}

at::Tensor PreparedEdit::choose(const at::Tensor& rows) const {
  at::Tensor chosen = rows;
  if (tokens_.defined()) chosen = chosen.index_select(-2, tokens_);
  if (channels_.defined()) chosen = chosen.index_select(-1, channels_);
  return chosen;
}

void PreparedEdit::put(at::Tensor& rows, const at::Tensor& values) const {
  if (tokens_.defined() && channels_.defined()) {
    auto tokens = rows.index_select(-2, tokens_);
    tokens.index_copy_(-1, channels_, values);
    rows.index_copy_(-2, tokens_, tokens);
  } else if (tokens_.defined()) {
    rows.index_copy_(-2, tokens_, values);
  } else if (channels_.defined()) {
    rows.index_copy_(-1, channels_, values);
  } else {
    rows.copy_(values);
  }
}

at::Tensor PreparedEdit::changed(const at::Tensor& chosen, const at::Tensor& rows, const at::Tensor& bypass,
                                 int64_t step) const {
  switch (edit_.operation) {
    case Operation::retain:
      return retained(chosen, step);
    case Operation::mean: {
      const auto mean = rows.mean(-2, /*keepdim=*/true);
      return (channels_.defined() ? mean.index_select(-1, channels_) : mean).expand_as(chosen);
    }
    case Operation::affine: {
      auto result = chosen.to(at::kFloat);
      if (scale_.defined()) result = result * scale_;
      if (shift_.defined()) result = result + shift_;
      return result.to(chosen.scalar_type());
    }
    case Operation::transplant: {
      const auto source = lastTokensOf(source_);
      if (source.dim() != rows.dim() || source.size(-1) != rows.size(-1) || source.size(-2) != rows.size(-2) ||
          (source.size(0) != 1 && source.size(0) != rows.size(0))) {
        throw Error("BAD_TENSOR", "transplant into " + edit_.path + ": the source has shape " + shapeText(source) +
                                      ", the hidden state " + shapeText(rows) +
                                      ". Capture the source at the same site and size.");
      }
      return choose(source.to(chosen.scalar_type())).expand_as(chosen);
    }
    case Operation::skip:
    case Operation::identity: {
      if (!bypass.defined() || !bypass.sizes().equals(rows.sizes())) {
        throw Error("BAD_TENSOR", std::string(edit_.operation == Operation::skip ? "skip" : "identity") + " at " +
                                      edit_.path + " needs an input of the shape of its output " + shapeText(rows) +
                                      ", found " + (bypass.defined() ? shapeText(bypass) : "none") + ".");
      }
      return choose(bypass.to(chosen.scalar_type()));
    }
    case Operation::shuffle:
      return chosen.index_select(-2, order(chosen.size(-2), step, chosen.device()));
    case Operation::blur: {
      const int64_t tokens = rows.size(-2);
      const auto [height, width] = edit_.grid.value_or(std::pair<int64_t, int64_t>{1, tokens});
      if (height * width > tokens) {
        throw Error("BAD_TENSOR", "blur at " + edit_.path + ": a grid of " + std::to_string(height) + " × " +
                                      std::to_string(width) + " tokens does not fit into " + std::to_string(tokens) +
                                      ".");
      }
      const auto blurGrid = [&, height = height, width = width](const at::Tensor& grid) {
        return blurredTokens(grid, height, width, edit_.sigma);
      };
      // As many tokens as the grid has are the grid: the image's in joint attention, where they do not come last.
      if (tokens_.defined() && tokens_.size(0) == height * width) return blurGrid(chosen);
      // Tokens beyond the grid (text tokens in front of the image's) stay as they are.
      auto result = (channels_.defined() ? rows.index_select(-1, channels_) : rows).clone();
      auto grid = result.narrow(-2, tokens - height * width, height * width);
      grid.copy_(blurGrid(grid));
      return tokens_.defined() ? result.index_select(-2, tokens_) : result;
    }
    case Operation::match:
      return matched(chosen, rows, step);
  }
  return chosen;
}

at::Tensor PreparedEdit::lastTokensOf(const at::Tensor& hidden) const {
  const bool isPart =
      hidden.defined() && edit_.lastTokens > 0 && hidden.dim() > 2 && hidden.size(-2) > edit_.lastTokens;
  return isPart ? hidden.narrow(-2, hidden.size(-2) - edit_.lastTokens, edit_.lastTokens) : hidden;
}

void PreparedEdit::apply(const at::Tensor& hidden, const at::Tensor& bypass, int64_t step) const {
  auto rows = lastTokensOf(hidden);
  checkRange(rows);
  put(rows, changed(choose(rows), rows, lastTokensOf(bypass), step));
}

}  // namespace dg
