#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

namespace dg {

// The prediction in a model's result: a tensor, or the first of a tuple. Throws MODEL_FAILED.
at::Tensor predictionIn(const c10::IValue& result);

}  // namespace dg
