#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

namespace dg::binding {

// Back-pressure between a run and whoever reads what it reports in JavaScript: so many deliveries, and so many bytes,
// may wait to be read; the run waits then. One that alone is larger goes through when nothing else waits.
class Delivery {
 public:
  struct Limits {
    size_t deliveries;
    int64_t bytes;
  };

  explicit Delivery(Limits limits) : limits_(limits) {}

  // Worker's thread. Waits for room; throws ABORT_ERR when the run is cancelled meanwhile.
  void enter(int64_t bytes, const std::atomic<bool>& cancelled);

  // JavaScript thread: the oldest delivery has been read.
  void leave();

 private:
  bool hasRoom(int64_t bytes) const;

  const Limits limits_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::deque<int64_t> waiting_;  // bytes of each
  int64_t bytes_ = 0;
};

}  // namespace dg::binding
