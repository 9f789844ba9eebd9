#pragma once

#include <c10/core/Device.h>

#include <optional>

namespace dg {

// CUDA's compute capability of a device, 89 for 8.9. The core knows no device: native/cuda says it.
using CapabilityReader = int (*)(at::Device);

// Set once, before a model is loaded; null: nothing is known of any device.
void setCapabilityReader(CapabilityReader reader);

// nullopt on the CPU, and where nobody says.
std::optional<int> computeCapability(at::Device device);

}  // namespace dg
