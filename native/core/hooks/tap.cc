#include "native/core/hooks/tap.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <memory>
#include <mutex>
#include <utility>

#include "native/core/error.h"
#include "native/core/graph/fuse_modulation.h"
#include "native/core/graph/fuse_activation.h"
#include "native/core/graph/fuse_norm_rotary.h"
#include "native/core/graph/precision.h"
#include "native/core/recording/statistics.h"
#include "native/core/sampling/update.h"

namespace dg {
namespace {

thread_local const HookSet* active = nullptr;
thread_local std::exception_ptr failure;

at::Tensor edited(const SiteHooks& hooks, const at::Tensor& x, const std::optional<at::Tensor>& bypass) {
  if (hooks.edits.empty()) return x;
  at::Tensor result = x.clone();
  for (const auto& [edit, firstRow, rows] : hooks.edits) {
    at::Tensor given;
    if (bypass && bypass->dim() == x.dim() && bypass->size(0) == x.size(0)) {
      given = bypass->narrow(0, firstRow, rows);
    }
    edit->apply(result.narrow(0, firstRow, rows), given, active->step);
  }
  return result;
}

at::Tensor pass(const at::Tensor& x, int64_t site, const std::optional<at::Tensor>& bypass,
                const AttentionInputs* attention) {
  const SiteHooks* hooks = active == nullptr ? nullptr : active->find(site);
  if (hooks == nullptr) return x;
  try {
    if (hooks->observe) hooks->observe(x);
    if (hooks->record && hooks->recordBeforeEdits) hooks->record(x, attention);
    auto result = edited(*hooks, x, bypass);
    if (hooks->record && !hooks->recordBeforeEdits) hooks->record(result, attention);
    return result;
  } catch (const Error&) {
    failure = std::current_exception();
    throw;
  }
}

at::Tensor tap(const at::Tensor& x, int64_t site, const std::optional<at::Tensor>& bypass) {
  return pass(x, site, bypass, nullptr);
}

at::Tensor attentionTap(const at::Tensor& x, int64_t site, const std::optional<at::Tensor>& bypass,
                        const at::Tensor& query, const at::Tensor& key, const std::optional<at::Tensor>& mask,
                        bool causal, std::optional<double> scale) {
  const AttentionInputs attention{query, key, mask, causal, scale};
  return pass(x, site, bypass, &attention);
}

}  // namespace

void registerOperators() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (c10::Dispatcher::singleton().findSchema({kTap, ""})) {
      throw Error("ADDON_DUPLICATE",
                  "Another copy of detail-guidance is loaded in this process. Install it once and let both users "
                  "share it (npm dedupe).");
    }
    // Kept until the process ends: programs that hold the operators may outlive every scope of ours.
    static auto* library = new torch::Library(torch::Library::DEF, kNamespace, std::nullopt, __FILE__, __LINE__);
    library->def("tap(Tensor(a) x, int site, Tensor? bypass=None) -> Tensor(a)", tap);
    library->def(
        "attention_tap(Tensor(a) x, int site, Tensor? bypass, Tensor query, Tensor key, Tensor? mask, bool causal, "
        "float? scale) -> Tensor(a)",
        attentionTap);
    library->def("match_dtype(Tensor(a) x, Tensor like) -> Tensor(a)", matchDtype);
    library->def(
        "modulated_layer_norm(Tensor x, int[] normalized_shape, Tensor? weight, Tensor? bias, float eps, Tensor scale, "
        "Tensor shift) -> Tensor",
        modulatedLayerNorm);
    library->def("gated_residual(Tensor x, Tensor a, Tensor b) -> Tensor", gatedResidual);
    library->def("norm_rotary(Tensor x, Tensor? weight, float? eps, Tensor? cosine, Tensor? sine) -> Tensor",
                 normRotary);
    library->def("linear_gelu(Tensor x, Tensor weight, Tensor bias) -> Tensor", linearGelu);
    library->def("gated_silu(Tensor a, Tensor b) -> Tensor", gatedSilu);
    library->def(
        "guided_update(Tensor[] predictions, float[] weights, Tensor x, Tensor[] history, float sample, "
        "float[] outputs) -> (Tensor, Tensor)",
        guidedUpdate);
    library->def("channel_statistics(Tensor hidden, float[] percentiles) -> (Tensor, Tensor)", channelStatistics);
  });
}

const SiteHooks* HookSet::find(int64_t site) const {
  const auto entry = sites_.find(site);
  return entry == sites_.end() ? nullptr : &entry->second;
}

std::vector<int64_t> HookSet::sites() const {
  std::vector<int64_t> found;
  for (const auto& entry : sites_) found.push_back(entry.first);
  return found;
}

ActiveHooks::ActiveHooks(const HookSet* hooks) : previous_(active) {
  active = hooks;
  failure = nullptr;
}
ActiveHooks::~ActiveHooks() { active = previous_; }

std::exception_ptr takeFailure() { return std::exchange(failure, nullptr); }

}  // namespace dg
