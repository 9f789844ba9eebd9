#include "native/binding/worker.h"

#include <utility>

namespace dg::binding {

Worker::Worker(Work onEnd) : onEnd_(std::move(onEnd)), thread_([this] { loop(); }) {}

Worker::~Worker() {
  end();
  join();
}

bool Worker::post(CancelFlag cancelled, Work work) {
  const std::lock_guard lock(mutex_);
  if (ending_) return false;
  queue_.push_back({std::move(cancelled), std::move(work)});
  wake_.notify_one();
  return true;
}

void Worker::loop() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      running_ = nullptr;
      wake_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) break;
      job = std::move(queue_.front());
      queue_.pop_front();
      running_ = job.cancelled;
    }
    job.work();
  }
  kept_ = nullptr;
  if (onEnd_) onEnd_();
}

void Worker::end() {
  const std::lock_guard lock(mutex_);
  ending_ = true;
  if (running_) running_->store(true);
  for (const auto& job : queue_) job.cancelled->store(true);
  wake_.notify_one();
}

void Worker::finish() {
  const std::lock_guard lock(mutex_);
  ending_ = true;
  wake_.notify_one();
}

void Worker::join() {
  const std::lock_guard lock(joining_);
  if (thread_.joinable()) thread_.join();
}

}  // namespace dg::binding
