#include "native/core/device/device_graph.h"

#include <atomic>

namespace dg {
namespace {

std::atomic<GraphCapturerFactory> current = nullptr;

}  // namespace

std::recursive_mutex& captureMutex() {
  static auto* mutex = new std::recursive_mutex;  // captures may end after static objects have
  return *mutex;
}

void setGraphCapturerFactory(GraphCapturerFactory factory) { current = factory; }

std::unique_ptr<GraphCapturer> makeGraphCapturer(at::Device device) {
  const auto factory = current.load();
  return factory == nullptr ? nullptr : factory(device);
}

}  // namespace dg
