#include "native/core/recording/record.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <string>
#include <utility>

#include "native/core/error.h"

namespace dg {
namespace {

// What is on the CPU, and whole tensors, are handed out when so many bytes have come together, statistics of another
// device at the end of a step.
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
  step_ = {step, timestep, image, images, {}, {}};
  found_ = {};
  pendingBytes_ = 0;
}

void Recorder::record(int64_t site, const RecordedGroups& groups, const at::Tensor& hidden, int64_t allRows,
                      const AttentionInputs* attention) {
  const int64_t images = step_.images;
  const auto states = asHiddenState(hidden, sites_[site], allRows);
  // Groups beside each other are looked at in one pass.
  for (size_t begin = 0, end = 0; begin < groups.size(); begin = end) {
    for (end = begin + 1; end < groups.size() && groups[end].first == groups[end - 1].first + 1;) ++end;
    const int64_t first = groups[begin].first * images, rows = static_cast<int64_t>(end - begin) * images;
    const auto state = states.narrow(0, first, rows);
    RecordEntry entry;
    entry.site = site;
    entry.tokens = state.size(1);
    entry.channels = state.size(2);
    auto words = statisticsOf(state, recording_.statistics);
    // Elsewhere a graph may be captured, which nothing leaves.
    if (words.is_cpu()) pendingBytes_ += static_cast<int64_t>(words.nbytes());
    if (attention != nullptr && recording_.attention) {
      const auto mass = attentionMass(rowsOf(*attention, first, rows));
      entry.keys = mass.size(1);
      words = at::cat({words, mass.view(at::kInt)}, 1);
    }
    for (size_t k = begin; k < end; ++k) {
      const int64_t row = static_cast<int64_t>(k - begin) * images;
      if (recording_.tensors) {
        entry.tensor = state.narrow(0, row, images).to(*recording_.tensors, /*non_blocking=*/false, /*copy=*/true);
        pendingBytes_ += static_cast<int64_t>(entry.tensor.nbytes() * groups[k].second.size());
      }
      for (const auto branch : groups[k].second) {
        entry.branch = branch;
        found_.entries.push_back(entry);
        found_.words.push_back(words.narrow(0, row, images).flatten());
      }
    }
  }
  if (pendingBytes_ >= kDeliveryBytes) deliver();
}

void Recorder::finish() {
  if (!found_.entries.empty()) deliver();
  active_ = false;
}

void Recorder::deliver() {
  Records ready = step_;
  const auto found = std::exchange(found_, {});
  pendingBytes_ = 0;
  ready.words = (found.words.size() == 1 ? found.words[0] : at::cat(found.words)).to(at::kCPU);
  ready.entries = found.entries;
  for (auto& entry : ready.entries) {
    if (entry.tensor.defined()) entry.tensor = entry.tensor.to(at::kCPU).contiguous();
  }
  sink_(std::move(ready));
}

}  // namespace dg
