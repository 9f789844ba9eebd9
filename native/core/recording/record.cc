#include "native/core/recording/record.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <string>
#include <utility>

#include "native/core/error.h"

namespace dg {
namespace {

// Whole tensors are handed out when so many bytes have come together, statistics at the end of a step.
constexpr int64_t kDeliveryBytes = 4 << 20;

std::string shapeText(const at::Tensor& tensor) {
  std::string text = "[";
  for (const auto size : tensor.sizes()) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace

at::Tensor asHiddenState(const at::Tensor& value, const Site& site, int64_t rows) {
  const bool hasRows = value.dim() >= 2 && value.dim() <= 4 && value.size(0) == rows && value.numel() > 0;
  if (!hasRows || !value.is_floating_point()) {
    throw Error("BAD_TENSOR", site.path + " (" + name(site.tap) + ") has a " + c10::toString(value.scalar_type()) +
                                  " tensor of shape " + shapeText(value) + " for " + std::to_string(rows) +
                                  " rows, which is no hidden state [rows, tokens, channels]. Record another site.");
  }
  if (value.dim() == 2) return value.unsqueeze(1);
  if (value.dim() == 3) return value;
  // Attention has [rows, heads, tokens, head channels]; anything else with four axes is an image [rows, C, H, W].
  const bool hasHeads = site.tap == TapSide::query || site.tap == TapSide::value || site.tap == TapSide::attention;
  return hasHeads ? value.transpose(1, 2).flatten(2) : value.flatten(2).transpose(1, 2);
}

Recorder::Recorder(const std::vector<Site>& sites, const Recording& recording, RecordSink sink)
    : sites_(sites), recording_(recording), sink_(std::move(sink)) {}

void Recorder::begin(int64_t step, double timestep, int64_t image, int64_t images) {
  const auto& steps = recording_.steps;
  active_ = steps.empty() || std::find(steps.begin(), steps.end(), step) != steps.end();
  pending_ = {};
  pending_.step = step;
  pending_.timestep = timestep;
  pending_.image = image;
  pending_.images = images;
}

void Recorder::record(int64_t site, const std::vector<int64_t>& branches, const at::Tensor& hidden, int64_t allRows,
                      int64_t row, const AttentionInputs* attention) {
  const auto state = asHiddenState(hidden, sites_[site], allRows).narrow(0, row, pending_.images);
  RecordEntry entry;
  entry.site = site;
  entry.tokens = state.size(1);
  entry.channels = state.size(2);
  auto words = statisticsOf(state, recording_.statistics);
  if (attention != nullptr && recording_.attention) {
    const auto mass = attentionMass(rowsOf(*attention, row, pending_.images));
    entry.keys = mass.size(1);
    words = at::cat({words, mass.view(at::kInt)}, 1);
  }
  if (recording_.tensors) entry.tensor = state.to(*recording_.tensors, /*non_blocking=*/false, /*copy=*/true);
  const int64_t tensorBytes = entry.tensor.defined() ? static_cast<int64_t>(entry.tensor.nbytes()) : 0;
  for (const auto branch : branches) {
    entry.branch = branch;
    pending_.entries.push_back(entry);
    words_.push_back(words.flatten());
    pendingBytes_ += tensorBytes + static_cast<int64_t>(words.nbytes());
  }
  if (pendingBytes_ >= kDeliveryBytes) deliver();
}

void Recorder::finish() {
  if (!pending_.entries.empty()) deliver();
  active_ = false;
}

void Recorder::deliver() {
  Records ready = pending_;
  ready.words = (words_.size() == 1 ? words_[0] : at::cat(words_)).to(at::kCPU);
  for (auto& entry : ready.entries) {
    if (entry.tensor.defined()) entry.tensor = entry.tensor.to(at::kCPU).contiguous();
  }
  pending_.entries.clear();
  words_.clear();
  pendingBytes_ = 0;
  sink_(std::move(ready));
}

}  // namespace dg
