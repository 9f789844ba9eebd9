#include "native/cuda/install.h"

#include "native/core/device/work_recorder.h"
#include "native/cuda/graph.h"
#include "native/cuda/operators.h"

namespace dg::cuda {

void install() {
  registerKernels();
  setWorkRecorderFactory(makeGraphRecorder);
}

}  // namespace dg::cuda
