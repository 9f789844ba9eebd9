#include "native/binding/workers.h"

namespace dg::binding {

std::shared_ptr<Worker> Workers::start() {
  // The thread keeps no reference to itself: it is destroyed on the JavaScript thread, after it has ended.
  auto ended = std::make_shared<std::weak_ptr<Worker>>();
  auto worker = std::make_shared<Worker>([this, ended] {
    mailbox_.post([this, ended] {
      const auto gone = ended->lock();
      if (!gone) return;
      gone->join();
      const std::lock_guard lock(mutex_);
      std::erase(workers_, gone);
    });
  });
  *ended = worker;
  const std::lock_guard lock(mutex_);
  workers_.push_back(worker);
  return worker;
}

void Workers::stop() {
  std::vector<std::shared_ptr<Worker>> workers;
  {
    const std::lock_guard lock(mutex_);
    workers = workers_;
  }
  for (const auto& worker : workers) worker->end();
  for (const auto& worker : workers) worker->join();
}

void Workers::clear() {
  std::vector<std::shared_ptr<Worker>> gone;  // destroyed behind the lock
  const std::lock_guard lock(mutex_);
  gone.swap(workers_);
}

size_t Workers::count() {
  const std::lock_guard lock(mutex_);
  return workers_.size();
}

}  // namespace dg::binding
