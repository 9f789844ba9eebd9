#include "native/core/device/host_memory.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <bit>

namespace dg {
namespace {

constexpr int64_t kLargestPiece = int64_t{1} << 30;

// What kernels expect of a tensor's first byte, and more.
int64_t aligned(int64_t bytes) { return (bytes + 255) & ~int64_t{255}; }

int64_t pieceFor(int64_t bytes, int64_t expected) {
  const auto whole = std::bit_floor(static_cast<uint64_t>(std::clamp(expected, int64_t{1}, kLargestPiece)));
  return static_cast<int64_t>(std::max(whole, std::bit_ceil(static_cast<uint64_t>(bytes))));
}

}  // namespace

at::Tensor HostMemory::keep(const at::Tensor& tensor) {
  const auto dense = tensor.is_non_overlapping_and_dense() ? tensor : tensor.contiguous();
  const auto bytes = aligned(static_cast<int64_t>(dense.nbytes()));
  if (!piece_.defined() || used_ + bytes > piece_.numel()) {
    piece_ = at::empty({pieceFor(bytes, expected_)}, at::TensorOptions(at::kByte).pinned_memory(isPinned_));
    taken_ += piece_.numel();
    used_ = 0;
  }
  auto kept = piece_.narrow(0, used_, static_cast<int64_t>(dense.nbytes()))
                  .view(dense.scalar_type())
                  .as_strided(dense.sizes(), dense.strides());
  kept.copy_(dense);
  used_ += bytes;
  expected_ -= bytes;
  return kept;
}

}  // namespace dg
