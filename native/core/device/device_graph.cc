#include "native/core/device/device_graph.h"

#include <atomic>

namespace dg {
namespace {

std::atomic<WorkRecorderFactory> current = nullptr;

}  // namespace

std::recursive_mutex& recordingMutex() {
  static auto* mutex = new std::recursive_mutex;  // recordings may end after static objects have
  return *mutex;
}

void setWorkRecorderFactory(WorkRecorderFactory factory) { current = factory; }

std::unique_ptr<WorkRecorder> makeWorkRecorder(at::Device device) {
  const auto factory = current.load();
  return factory == nullptr ? nullptr : factory(device);
}

}  // namespace dg
