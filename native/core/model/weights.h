#pragma once

#include <torch/script.h>

#include <cstdint>

namespace dg {

struct WeightsSize {
  int64_t parameters = 0;
  int64_t bytes = 0;  // of all tensors, buffers too
};

// Moves every tensor attribute to the device, floating ones also to the dtype, one at a time so that the old and the
// new weights are never in memory together; tied weights stay tied. (Module::to would cast integer buffers as well.)
WeightsSize moveWeights(const torch::jit::Module& root, at::Device device, at::ScalarType dtype);

// Throws DEVICE_UNAVAILABLE.
void requireDevice(at::Device device);

}  // namespace dg
