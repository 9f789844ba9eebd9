#include "native/cuda/install.h"

#include "native/core/device/device_graph.h"
#include "native/cuda/graph.h"
#include "native/cuda/operators.h"

namespace dg::cuda {

void install() {
  registerKernels();
  setGraphCapturerFactory(makeCudaGraphCapturer);
}

}  // namespace dg::cuda
