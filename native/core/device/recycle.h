#pragma once

#include <cstddef>
#include <memory>

namespace dg {

// A sampling run makes tensors of the same few sizes over and over. Left to malloc, each large one is fresh pages of
// the operating system's, which it clears one by one as they are touched: thousands of page faults a step. While a
// scope of this class lives, CPU memory of large tensors made on its thread is kept when they are freed and given to
// the next tensor that fills half of it or more; the end of the scope gives it back. Tensors may outlive the scope, and
// may be freed on any thread. Nothing is cleared that libtorch would not clear, so no result depends on it.
//
// A program on other rows wants other sizes: before memory is asked of the system, as much of what the programs before
// it have left is given back. So what is kept does not add up over the programs of a run.
//
// It stands in front of libtorch's own CPU allocator, once for the process, and hands on everything else to it.
class RecyclingScope {
 public:
  // `limit`: bytes that are kept at most while nobody uses them, 512 MiB by default.
  explicit RecyclingScope(size_t limit = 536870912);
  ~RecyclingScope();
  RecyclingScope(const RecyclingScope&) = delete;
  RecyclingScope& operator=(const RecyclingScope&) = delete;

  // Bytes that wait for a tensor.
  size_t idleBytes() const;

  // A program begins on this thread: what is idle now is left over from those before.
  static void beginProgram();

 private:
  class Shelf;
  friend class RecyclingAllocator;

  std::shared_ptr<Shelf> shelf_;
  std::shared_ptr<Shelf> previous_;
};

}  // namespace dg
