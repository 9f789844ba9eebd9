#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "native/core/hooks/attention_mass.h"
#include "native/core/hooks/edit.h"

namespace dg {

// The tap: our forward hook. torch::jit::Module has none (PyTorch issues 25888, 29037, 86818), so an operator is put
// into the graph behind every hooked value:
//   detail_guidance::tap(Tensor(a) x, int site, Tensor? bypass=None) -> Tensor(a)
// It looks up what is active at its site on this thread and does nothing, captures, or edits. The alias in its schema
// is what lets an idle tap return its input.
inline constexpr const char* kNamespace = "detail_guidance";
inline constexpr const char* kTap = "detail_guidance::tap";
// The same behind an attention whose inputs are recorded:
//   detail_guidance::attention_tap(Tensor(a) x, int site, Tensor? bypass, Tensor query, Tensor key, Tensor? mask,
//                                  bool causal, float? scale) -> Tensor(a)
inline constexpr const char* kAttentionTap = "detail_guidance::attention_tap";

// Registers the operators once per process; again is fine. Throws ADDON_DUPLICATE where another copy of this library
// in the process has done so.
void registerOperators();

// Edits for some rows of a batch: the rows of one branch.
struct RowEdit {
  const PreparedEdit* edit;
  int64_t firstRow;
  int64_t rows;
};

struct SiteHooks {
  std::vector<RowEdit> edits;                             // in order
  std::function<void(const at::Tensor& hidden)> observe;  // sees the hidden state before the edits
  // Sees it after the edits, or before them; `attention` is null but at taps made for it.
  std::function<void(const at::Tensor& hidden, const AttentionInputs* attention)> record;
  bool recordBeforeEdits = false;
};

// The hooks of one model evaluation, by site.
class HookSet {
 public:
  SiteHooks& at(int64_t site) { return sites_[site]; }
  const SiteHooks* find(int64_t site) const;
  bool empty() const { return sites_.empty(); }
  std::vector<int64_t> sites() const;

  int64_t step = 0;  // index into the schedules (ρ_t) of the edits

 private:
  std::unordered_map<int64_t, SiteHooks> sites_;
};

// Makes a hook set active on this thread for a scope: nothing is left behind by an exception.
class ActiveHooks {
 public:
  explicit ActiveHooks(const HookSet* hooks);
  ~ActiveHooks();
  ActiveHooks(const ActiveHooks&) = delete;
  ActiveHooks& operator=(const ActiveHooks&) = delete;

 private:
  const HookSet* previous_;
};

// What a hook threw on this thread since hooks were last made active; null when nothing did. The interpreter passes on
// the text of an exception alone, and its code would be lost.
std::exception_ptr takeFailure();

}  // namespace dg
