#include "native/core/device/memory.h"

#include <ATen/Context.h>
#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>

#include <mutex>
#include <new>
#include <string>

#include "native/core/device/device_graph.h"
#include "native/core/error.h"

namespace dg {
namespace {

// Null where libtorch has not used the device yet: there is nothing to count then.
c10::DeviceAllocator* allocatorOf(at::Device device) {
  if (device.is_cpu() || !at::hasCUDA()) return nullptr;
  auto* allocator = c10::getDeviceAllocator(device.type());
  return allocator->initialized() ? allocator : nullptr;
}

constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

}  // namespace

std::optional<MemoryStatistics> memoryStatistics(at::Device device) {
  if (device.is_cpu()) return std::nullopt;
  MemoryStatistics result;
  auto* allocator = allocatorOf(device);
  if (allocator == nullptr) return result;
  const auto statistics = allocator->getDeviceStats(device.index());
  result.allocated = statistics.allocated_bytes[kAll].current;
  result.reserved = statistics.reserved_bytes[kAll].current;
  result.peakAllocated = statistics.allocated_bytes[kAll].peak;
  result.peakReserved = statistics.reserved_bytes[kAll].peak;
  const auto [free, total] = allocator->getMemoryInfo(device.index());
  result.free = static_cast<int64_t>(free);
  result.total = static_cast<int64_t>(total);
  return result;
}

void resetPeakMemory(at::Device device) {
  if (auto* allocator = allocatorOf(device)) allocator->resetPeakStats(device.index());
}

void emptyCache(at::Device device) {
  auto* allocator = allocatorOf(device);
  if (allocator == nullptr) return;
  const std::lock_guard lock(captureMutex());  // libtorch refuses while a graph is being captured
  allocator->emptyCache();
  // And what is kept of the host's memory that the device reads: blocks that waited there.
  at::getHostAllocator(device.type())->empty_cache();
}

void returnCache(at::Device device) noexcept {
  try {
    emptyCache(device);
  } catch (const std::exception&) {
    // The device has failed before: who uses it next hears of it.
  }
}

bool isOutOfMemory(const std::exception& error) {
  if (const auto* known = dynamic_cast<const Error*>(&error)) return known->code == "OUT_OF_MEMORY";
  const std::string what = error.what();
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
         what.find("not enough memory") != std::string::npos || what.find("out of memory") != std::string::npos ||
         what.find("can't allocate memory") != std::string::npos ||
         what.find("STATUS_ALLOC_FAILED") != std::string::npos;  // cuBLAS and cuDNN
}

}  // namespace dg
