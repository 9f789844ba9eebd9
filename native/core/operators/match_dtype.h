#pragma once

#include <ATen/core/Tensor.h>

namespace dg {

// x in the dtype of `like`; x itself where they agree or one of them is not floating point.
at::Tensor matchDtype(const at::Tensor& x, const at::Tensor& like);

}  // namespace dg
