#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <mutex>

namespace dg {

// Work that a device was asked for once and can be asked for again at the price of a single call: a CUDA graph. It
// reads and writes the memory it did when it was captured: what is to change between replays lies in tensors.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  virtual void replay() = 0;
};

// Captures work as graphs. The core knows no device: native/cuda brings the one for CUDA.
class GraphCapturer {
 public:
  virtual ~GraphCapturer() = default;
  // Captures what `work` asks the device to do; it is not done before the first replay. Throws with the reason when
  // something in it can not be captured, a wait for the device for instance.
  virtual std::unique_ptr<DeviceGraph> capture(const std::function<void()>& work) = 0;
};

// Held during a capture, and by what may not happen on any thread meanwhile. One capture at a time in a process: what
// they share in libtorch is not made for two.
std::recursive_mutex& captureMutex();

using GraphCapturerFactory = std::unique_ptr<GraphCapturer> (*)(at::Device);

// Set once, before a model is loaded; null: nothing is captured.
void setGraphCapturerFactory(GraphCapturerFactory factory);

// Null where the device has none.
std::unique_ptr<GraphCapturer> makeGraphCapturer(at::Device device);

}  // namespace dg
