#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "native/core/device/capability.h"

namespace dg {

struct CudaDevice {
  std::string name;
  int64_t memory = 0;  // bytes; 0 where the addon was built without CUDA headers
};

struct CudaStatus {
  bool linked = false;  // libtorch's CUDA library is loaded
  std::vector<CudaDevice> devices;
  std::string reason;  // why there is no device; empty when there is one
};

// Of a device that is there; null in a build without CUDA headers.
CapabilityReader capabilityReader();

// What can be said of CUDA in this process. Never throws.
CudaStatus cudaStatus();

}  // namespace dg
