#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "native/core/recording/statistics.h"

namespace dg {

// Which hidden states of a sampling run are written down, and what is made of them.
struct Recording {
  std::vector<int64_t> sites;     // indices into the model's list
  std::vector<int64_t> branches;  // indices into Plan::branches
  std::vector<int64_t> steps;     // indices into Plan::steps; empty: all
  Statistics statistics;
  bool attention = false;                 // attention mass, at attention taps
  std::optional<at::ScalarType> tensors;  // whole hidden states in this dtype
  bool beforeEdits = false;               // as they arrive at a site that is edited, not as they leave it
};

}  // namespace dg
