#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "native/core/graph/program.h"
#include "native/core/hooks/attention_mass.h"
#include "native/core/hooks/prepared_edit.h"

namespace dg {

// Edits for some rows of a batch: the rows of one branch.
struct RowEdit {
  const PreparedEdit* edit;
  int64_t firstRow;
  int64_t rows;
};

// What is attached to one site.
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
  std::vector<int64_t> sites() const;

  int64_t step = 0;  // index into the schedules (ρ_t) of the edits

 private:
  std::unordered_map<int64_t, SiteHooks> sites_;
};

// The hooks that are active on this thread; null: none.
const HookSet* activeHooks();

// Runs a program on this thread while `hooks` are active; nothing is left behind by an exception. Throws what the hooks
// throw and what Program::run throws.
Values runWithHooks(const Program& program, Values inputs, const HookSet& hooks);

}  // namespace dg
