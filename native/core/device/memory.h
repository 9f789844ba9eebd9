#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <exception>
#include <optional>

namespace dg {

// Memory of a device, in bytes.
struct MemoryStatistics {
  int64_t allocated = 0;      // in tensors
  int64_t reserved = 0;       // taken from the device: tensors, and what is kept for the next ones
  int64_t peakAllocated = 0;  // since the process began, or resetPeak
  int64_t peakReserved = 0;
  int64_t free = 0;  // on the device, whoever else uses it
  int64_t total = 0;
};

// Of a device whose memory libtorch manages in this process; nothing for the CPU, whose memory is the process's.
std::optional<MemoryStatistics> memoryStatistics(at::Device device);

// Peaks count from now on.
void resetPeakMemory(at::Device device);

// Gives memory that is reserved but not in tensors back to the device, and the host's that was pinned for it.
void emptyCache(at::Device device);

// The same where there is nobody to tell that it failed.
void returnCache(at::Device device) noexcept;

// Whether this is libtorch's way of saying that memory ran out.
bool isOutOfMemory(const std::exception& error);

}  // namespace dg
