#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace dg {

// Calls work(piece, own) for each of `count` pieces on all threads. Every thread takes the next piece when it is done
// with one, since on a machine that others use too threads are seldom equally fast; `make()` gives what one has for
// itself. A piece's result may not depend on who does it.
template <typename Make, typename Work>
void sharePieces(int64_t count, const Make& make, const Work& work) {
  std::atomic<int64_t> next{0};
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), count);
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    auto own = make();
    for (int64_t piece; (piece = next.fetch_add(1, std::memory_order_relaxed)) < count;) work(piece, own);
  });
}

}  // namespace dg
