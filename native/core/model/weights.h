#pragma once

#include <torch/script.h>

#include <cstdint>
#include <vector>

#include "native/core/graph/offload.h"
#include "native/core/graph/site.h"

namespace dg {

struct WeightsSize {
  int64_t parameters = 0;
  int64_t bytes = 0;     // of all tensors, buffers too
  bool isCast = false;   // whether any had another dtype
  HostStorages waiting;  // memory of those that stayed on the host
};

// Moves every tensor attribute to the device, floating ones also to the dtype, one at a time so that the old and the
// new weights are never in memory together; tied weights stay tied. (Module::to would cast integer buffers as well.)
// What submodules at the paths of `waiting` alone have stays on the host.
WeightsSize moveWeights(const torch::jit::Module& root, at::Device device, at::ScalarType dtype,
                        const std::vector<BlockPattern>& waiting = {});

// Throws DEVICE_UNAVAILABLE.
void requireDevice(at::Device device);

}  // namespace dg
