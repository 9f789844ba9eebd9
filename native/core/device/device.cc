#include "native/core/device/device.h"

#include <ATen/Functions.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <map>
#include <utility>

#include "native/core/device/own_stream.h"

namespace dg {
namespace {

c10::Stream currentStream(at::Device device) { return c10::impl::VirtualGuardImpl(device.type()).getStream(device); }

}  // namespace

void useOwnStream(at::Device device) {
  if (device.is_cpu()) return;
  const c10::impl::VirtualGuardImpl guard(device.type());
  guard.setDevice(device);
  // Given back when the thread ends.
  thread_local std::map<at::DeviceIndex, OwnStream> own;
  guard.exchangeStream(*own.try_emplace(device.index(), device).first->second);
}

void finish(at::Device device) {
  if (!device.is_cpu()) currentStream(device).synchronize();
}

at::Tensor toDevice(const at::Tensor& tensor, at::Device device) {
  if (tensor.device() == device) return tensor;
  if (device.is_cpu() || !tensor.is_cpu()) return tensor.to(device);
  return tensor.contiguous().pin_memory().to(device, /*non_blocking=*/true);
}

at::Tensor toHost(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return tensor;
  auto host = at::empty(tensor.sizes(), tensor.options().device(at::kCPU).pinned_memory(true));
  host.copy_(tensor, /*non_blocking=*/true);
  finish(tensor.device());
  return host;
}

void Pace::step() {
  if (device_.is_cpu()) return;
  auto now = std::make_unique<c10::Event>(device_.type());
  now->record(currentStream(device_));
  if (previous_) previous_->synchronize();
  previous_ = std::move(now);
}

}  // namespace dg
