#include "native/core/work_recorder.h"

#include <atomic>

namespace dg {
namespace {

std::atomic<WorkRecorderFactory> current = nullptr;

}  // namespace

void setWorkRecorderFactory(WorkRecorderFactory factory) { current = factory; }

std::unique_ptr<WorkRecorder> makeWorkRecorder(at::Device device) {
  const auto factory = current.load();
  return factory == nullptr ? nullptr : factory(device);
}

}  // namespace dg
