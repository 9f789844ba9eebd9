#include "native/core/device/capability.h"

#include <atomic>

namespace dg {
namespace {

std::atomic<CapabilityReader> known{nullptr};

}  // namespace

void setCapabilityReader(CapabilityReader reader) { known = reader; }

std::optional<int> computeCapability(at::Device device) {
  const auto reader = known.load();
  return reader != nullptr && device.is_cuda() ? std::optional(reader(device)) : std::nullopt;
}

}  // namespace dg
