#include "native/core/device/host_memory.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <bit>
#include <string>

#include "native/core/device/memory.h"
#include "native/core/error.h"

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

at::Tensor HostMemory::pieceOf(int64_t bytes) const {
  try {
    return at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(isPinned_));
  } catch (const c10::Error& error) {
    if (!isOutOfMemory(error)) throw;
    // CUDA says it as it says that of its own memory.
    throw Error("OUT_OF_MEMORY",
                "The host has no " + std::to_string(bytes >> 20) + " MiB more of " + (isPinned_ ? "pinned " : "") +
                    "memory for the blocks that wait there, after " + std::to_string(taken_ >> 20) +
                    " MiB (a limit on locked memory, or a container's): " + error.what_without_backtrace());
  }
}

at::Tensor HostMemory::keep(const at::Tensor& tensor) {
  const auto dense = tensor.is_non_overlapping_and_dense() ? tensor : tensor.contiguous();
  const auto bytes = aligned(static_cast<int64_t>(dense.nbytes()));
  if (!piece_.defined() || used_ + bytes > piece_.numel()) {
    piece_ = pieceOf(pieceFor(bytes, expected_));
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
