#include "native/cuda/install.h"

#include "native/core/device/capability.h"
#include "native/core/device/device_graph.h"
#include "native/cuda/devices.h"
#include "native/cuda/graph.h"
#include "native/cuda/operators.h"

namespace dg::cuda {

void install() {
  registerKernels();
  setGraphCapturerFactory(makeCudaGraphCapturer);
  setCapabilityReader(capabilityReader());
}

}  // namespace dg::cuda
