#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <array>
#include <memory>

namespace dg {

// What the loop asks of a device, in libtorch's own device-neutral words; on the CPU all of it is nothing.

// Gives the calling thread a stream of its own on the device, for good (own_stream.h): a pipeline's thread calls it for
// every part that it loads, so that the work of two pipelines can overlap.
void useOwnStream(at::Device device);

// Waits until the device has done what this thread asked of it.
void finish(at::Device device);

// Copies through pinned memory, so that the copy to the device does not hold up the thread.
at::Tensor toDevice(const at::Tensor& tensor, at::Device device);

// Copies to the CPU and waits.
at::Tensor toHost(const at::Tensor& tensor);

// Keeps the thread at most one step ahead of the device: far enough that the device never waits for it, near enough
// that progress and cancelling mean something.
class Pace {
 public:
  explicit Pace(at::Device device) : device_(device) {}

  // After the work of a step was asked for: waits until that of the step before is done.
  void step();

 private:
  at::Device device_;
  std::unique_ptr<c10::Event> previous_;
};

}  // namespace dg
