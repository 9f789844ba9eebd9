#include "native/binding/delivery.h"

#include <chrono>

#include "native/core/error.h"

namespace dg::binding {
namespace {

// A run is cancelled by a flag alone, also by the end of the environment, so it is looked at now and then.
constexpr auto kPatience = std::chrono::milliseconds(5);

}  // namespace

bool Delivery::hasRoom(int64_t bytes) const {
  return waiting_.empty() || (waiting_.size() < limits_.deliveries && bytes_ + bytes <= limits_.bytes);
}

void Delivery::enter(int64_t bytes, const std::atomic<bool>& cancelled) {
  std::unique_lock lock(mutex_);
  while (!cancelled.load() && !hasRoom(bytes)) room_.wait_for(lock, kPatience);
  if (cancelled.load()) throw Error("ABORT_ERR", "The run was aborted.");
  waiting_.push_back(bytes);
  bytes_ += bytes;
}

void Delivery::leave() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) return;
  bytes_ -= waiting_.front();
  waiting_.pop_front();
  room_.notify_one();
}

}  // namespace dg::binding
