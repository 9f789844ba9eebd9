#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "native/core/sampling/plan.h"

namespace dg {

// Step reuse: a branch that is not evaluated in a step is replaced by its reference (the conditional branch) moved by
// the difference the two had when it was last evaluated. One state per branch.
class Reuse {
 public:
  explicit Reuse(const Plan& plan) : plan_(plan), adaptive_(plan.adaptiveReuse.size()) {}

  // Per branch: 1 where step i has to evaluate it.
  std::vector<uint8_t> branchMask(int64_t i) const;

  // The hidden states that Plan::adaptiveReuse measures, as seen in the step just evaluated.
  void observe(const std::vector<at::Tensor>& hidden, const std::vector<uint8_t>& branchMask);

  // Remembers the differences of what was evaluated and fills in what was not.
  void complete(std::vector<at::Tensor>& predictions, const std::vector<uint8_t>& branchMask);

 private:
  // TeaCache's measure of one branch.
  struct Change {
    at::Tensor previous;
    double last = 0;         // of the step before
    double accumulated = 0;  // since the branch was last evaluated
  };

  bool canReuse(size_t branch) const;
  bool isQuiet(size_t branch, int64_t i) const;

  const Plan& plan_;
  std::vector<Change> adaptive_;  // like Plan::adaptiveReuse
  std::unordered_map<size_t, at::Tensor> differences_;
};

}  // namespace dg
