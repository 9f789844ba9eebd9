#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "native/core/hooks/edit.h"
#include "native/core/model/model.h"

namespace dg {

// A hook on some sites for one forward pass: captures first, then edits, on all rows of the batch.
struct Hook {
  std::vector<int64_t> sites;
  bool capture = false;
  std::vector<Edit> edits;
};

struct Forward {
  at::Tensor output;                                     // on the CPU
  std::vector<std::pair<int64_t, at::Tensor>> captures;  // site and hidden state, on the CPU, in the order of the hooks
};

// Runs the whole model once on `inputs` (as many as the model takes, in its order). Throws BAD_TENSOR,
// SITE_NOT_FOUND, what the edits throw (edit.h), MODEL_FAILED, OUT_OF_MEMORY.
Forward forwardWithHooks(Model& model, const std::vector<at::Tensor>& inputs, const std::vector<Hook>& hooks);

// The shape of the hidden state at every site, in one forward pass; none where the pass did not come by.
std::vector<std::optional<std::vector<int64_t>>> siteShapes(Model& model, const std::vector<at::Tensor>& inputs);

}  // namespace dg
