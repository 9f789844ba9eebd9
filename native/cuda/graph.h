#pragma once

#include <c10/core/Device.h>

#include <memory>

#include "native/core/device/device_graph.h"

namespace dg::cuda {

// Captures work as CUDA graphs, whose tensors live in one memory pool for all graphs of a capturer: they are replayed
// one at a time, and what one leaves behind in the pool the next may overwrite. Null for other devices, and where
// DETAIL_GUIDANCE_CUDA_GRAPHS=0 or the addon was built without CUDA headers.
std::unique_ptr<GraphCapturer> makeCudaGraphCapturer(at::Device device);

}  // namespace dg::cuda
