#pragma once

#include <c10/core/ScalarType.h>
#include <c10/util/BFloat16.h>

namespace dg {

// What work gives for a number of the dtype: float or BFloat16.
template <typename Work>
auto withNumber(at::ScalarType dtype, const Work& work) {
  return dtype == at::kFloat ? work(float{}) : work(at::BFloat16{});
}

}  // namespace dg
