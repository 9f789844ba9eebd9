#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace dg::binding {

// One native thread and its jobs, which run in the order they came. What a job makes to be used by the next ones (a
// model) stays on the thread: it is made, used and freed there. Knows nothing of JavaScript.
class Worker {
 public:
  // Set by whoever wants a job to end.
  using CancelFlag = std::shared_ptr<std::atomic<bool>>;
  using Work = std::function<void()>;

  // `onEnd` is called by the thread as its last act.
  explicit Worker(Work onEnd = {});
  ~Worker();  // ends and joins; not on its own thread
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Any thread. `work` throws nothing, and also runs when `cancelled` is set before its turn: it sees that itself.
  // false when the worker has been told to end: it will not run.
  bool post(CancelFlag cancelled, Work work);

  // The worker's thread. Freed there, before the thread ends.
  void keep(std::shared_ptr<void> object) { kept_ = std::move(object); }

  // Any thread. Sets the flags of all jobs; when they have unwound, the thread frees what it keeps and ends. Does not
  // wait. Again is fine.
  void end();

  // Any thread. The same without cancelling: what was posted before runs to its end.
  void finish();

  // Any thread but its own: waits until the thread has ended, for which it has been told before. Again is fine.
  void join();

 private:
  struct Job {
    CancelFlag cancelled;
    Work work;
  };

  void loop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  CancelFlag running_;
  bool ending_ = false;
  std::shared_ptr<void> kept_;
  Work onEnd_;
  std::mutex joining_;
  std::thread thread_;
};

}  // namespace dg::binding
