#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dg {

// Copies of tensors in host memory that a device reads by itself (pinned), in a few large pieces: libtorch rounds each
// pinned allocation up to a power of two, which for single weights would be up to twice their size.
class HostMemory {
 public:
  // `bytes`: of all tensors that are to come. `isPinned`: false where there is no device that could read it.
  HostMemory(int64_t bytes, bool isPinned) : expected_(bytes), isPinned_(isPinned) {}

  // The tensor's values with its strides; one that overlaps itself or has gaps becomes contiguous. Waits for the copy.
  // Throws OUT_OF_MEMORY.
  at::Tensor keep(const at::Tensor& tensor);

  // What was taken from the system.
  int64_t bytes() const { return taken_; }

 private:
  at::Tensor pieceOf(int64_t bytes) const;

  int64_t expected_, taken_ = 0, used_ = 0;
  bool isPinned_;
  at::Tensor piece_;
};

}  // namespace dg
