#include "native/core/device/block_offload.h"

#include <ATen/Functions.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <exception>

namespace dg {
namespace {

at::Tensor copyOf(const at::Tensor& host, at::Device device) {
  // oneDNN's own layout can be cloned, and not moved.
  if (host.device() == device) return host.clone();
  return host.to(device, host.scalar_type(), /*non_blocking=*/true, /*copy=*/true);
}

}  // namespace

int64_t bytesOf(const std::vector<at::Tensor>& tensors) {
  int64_t bytes = 0;
  for (const auto& tensor : tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

BlockOffload::~BlockOffload() {
  try {
    clear();
  } catch (const std::exception&) {
    // The device has failed before: who uses it next hears of it.
  }
}

void BlockOffload::clear() {
  // The memory belongs to the stream of copies: whoever is given it next there comes after what reads it now.
  if (copies_) followCurrentStream();
  for (auto& slot : slots_) letGo(slot);
}

const std::vector<at::Tensor>& BlockOffload::bring(const std::shared_ptr<WaitingWeights>& weights) {
  if (slots_[current_].weights == weights) return slots_[current_].brought;
  if (const auto& before = slots_[current_].weights) before->next = weights;
  const auto other = 1 - current_;
  if (slots_[other].weights != weights) send(slots_[other], weights);
  current_ = other;
  auto& slot = slots_[current_];
  if (slot.arrived) slot.arrived->block(currentStream());
  auto& free = slots_[1 - current_];
  const auto next = weights->next.lock();
  if (next && next != weights && next != free.weights) send(free, next);
  return slot.brought;
}

void BlockOffload::send(Slot& slot, const std::shared_ptr<WaitingWeights>& weights) {
  // What reads the slot's weights was asked for before: the copies wait for it, and so does whoever gets their memory.
  followCurrentStream();
  letGo(slot);
  {
    c10::OptionalStreamGuard guard;
    if (copies_) guard.reset_stream(**copies_);
    for (const auto& host : weights->host) slot.brought.push_back(copyOf(host, device_));
  }
  if (copies_) {
    slot.arrived.emplace(device_.type());
    slot.arrived->record(**copies_);
  }
  slot.weights = weights;
  const auto bytes = bytesOf(slot.brought);
  resident_ += bytes;
  use_.brought += bytes;
  use_.resident = std::max(use_.resident, resident_);
}

void BlockOffload::letGo(Slot& slot) {
  // Nothing is counted of what was given up half way.
  if (slot.weights) resident_ -= bytesOf(slot.brought);
  slot.weights = nullptr;
  slot.brought.clear();
}

c10::Stream BlockOffload::currentStream() const {
  return c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
}

void BlockOffload::followCurrentStream() {
  if (!hasStreams()) return;
  if (!copies_) copies_.emplace(device_);
  c10::Event asked(device_.type());
  asked.record(currentStream());
  asked.block(**copies_);
}

}  // namespace dg
