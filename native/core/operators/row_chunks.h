#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

namespace dg {

constexpr int64_t kFewestRows = 16, kMostRowsAtOnce = 192;

// Rows of a product, at most kMostRowsAtOnce, that a thread works on together: what is between its passes stays near
// the processor. As many for each thread.
inline int64_t rowsAtOnce(int64_t rows) {
  const int64_t threads = at::get_num_threads();
  const int64_t share = std::clamp((rows + threads - 1) / threads, kFewestRows, kMostRowsAtOnce);
  const int64_t chunks = ((rows + share - 1) / share + threads - 1) / threads * threads;
  return std::max((rows + chunks - 1) / chunks, kFewestRows);
}

}  // namespace dg
