#pragma once

#include <atomic>

#include "native/core/error.h"

namespace dg {

// While it lives, what runs on this thread ends soon after `flag` is set, by any thread: it is looked at between
// operators, tensors of a file, steps. Whoever owns the thread makes one around each piece of work.
class CancelScope {
 public:
  explicit CancelScope(const std::atomic<bool>& flag) : previous_(current) { current = &flag; }
  ~CancelScope() { current = previous_; }
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;

  // Whether the innermost scope of this thread, if there is one, is to end.
  static bool isCancelled() { return current != nullptr && current->load(std::memory_order_relaxed); }

 private:
  inline static thread_local const std::atomic<bool>* current = nullptr;

  const std::atomic<bool>* previous_;
};

// Throws ABORT_ERR when this thread's work is to end.
inline void requireNotCancelled() {
  if (CancelScope::isCancelled()) throw Error("ABORT_ERR", "The run was aborted.");
}

}  // namespace dg
