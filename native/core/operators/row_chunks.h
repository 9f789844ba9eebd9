#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

namespace dg {

// Rows of a product that a thread works on together: what is between its passes stays near the processor. As many for
// each thread.
inline int64_t rowsAtOnce(int64_t rows) {
  constexpr int64_t kFewest = 16, kMost = 128;
  const int64_t threads = at::get_num_threads();
  const int64_t share = std::clamp((rows + threads - 1) / threads, kFewest, kMost);
  const int64_t chunks = ((rows + share - 1) / share + threads - 1) / threads * threads;
  return std::max((rows + chunks - 1) / chunks, kFewest);
}

}  // namespace dg
