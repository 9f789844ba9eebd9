#include "native/core/hooks/tap.h"

#include <optional>

#include "native/core/error.h"
#include "native/core/graph/failure.h"
#include "native/core/hooks/hook_set.h"

namespace dg {
namespace {

at::Tensor edited(const SiteHooks& hooks, const at::Tensor& x, const std::optional<at::Tensor>& bypass, int64_t step) {
  if (hooks.edits.empty()) return x;
  at::Tensor result = x.clone();
  for (const auto& [edit, firstRow, rows] : hooks.edits) {
    at::Tensor unedited;
    if (bypass && bypass->dim() == x.dim() && bypass->size(0) == x.size(0)) {
      unedited = bypass->narrow(0, firstRow, rows);
    }
    edit->apply(result.narrow(0, firstRow, rows), unedited, step);
  }
  return result;
}

at::Tensor pass(const at::Tensor& x, int64_t site, const std::optional<at::Tensor>& bypass,
                const AttentionInputs* attention) {
  const HookSet* active = activeHooks();
  const SiteHooks* hooks = active == nullptr ? nullptr : active->find(site);
  if (hooks == nullptr) return x;
  try {
    if (hooks->observe) hooks->observe(x);
    if (hooks->record && hooks->recordBeforeEdits) hooks->record(x, attention);
    auto result = edited(*hooks, x, bypass, active->step);
    if (hooks->record && !hooks->recordBeforeEdits) hooks->record(result, attention);
    return result;
  } catch (const Error&) {
    keepFailure(std::current_exception());
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

void defineTaps(torch::Library& library) {
  library.def("tap(Tensor(a) x, int site, Tensor? bypass=None) -> Tensor(a)", tap);
  library.def(
      "attention_tap(Tensor(a) x, int site, Tensor? bypass, Tensor query, Tensor key, Tensor? mask, bool causal, "
      "float? scale) -> Tensor(a)",
      attentionTap);
}

}  // namespace dg
