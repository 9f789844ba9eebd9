#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "native/core/recording/record.h"

namespace dg {

// What one evaluation of a model gives.
struct Evaluation {
  at::Tensor prediction;
  std::vector<at::Tensor> observed;  // hidden states that the sampler asked for; undefined where none was passed
  Recorded recorded;
};

}  // namespace dg
