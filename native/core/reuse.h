#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "native/core/plan.h"

namespace dg {

// Step reuse: a branch that is not evaluated in a step is replaced by its reference (the conditional branch) moved by
// the difference the two had when it was last evaluated. One state per branch.
class Reuse {
 public:
  explicit Reuse(const Plan& plan) : plan_(plan) {}

  // Per branch: 1 where step i has to evaluate it.
  std::vector<uint8_t> wanted(int64_t i) const;

  // Remembers the differences of what was evaluated and fills in what was not.
  void complete(std::vector<at::Tensor>& predictions, const std::vector<uint8_t>& wanted);

 private:
  bool canReuse(size_t branch) const;

  const Plan& plan_;
  std::unordered_map<size_t, at::Tensor> differences_;
};

}  // namespace dg
