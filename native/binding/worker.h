#pragma once

#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace dg::binding {

// The one thread that a pipeline owns. Jobs run there in the order they came; what they have to say in JavaScript
// (progress, results) runs on the JavaScript thread, in order too. The process stays alive while jobs are pending and
// not longer.
class Worker {
 public:
  using CancelFlag = std::shared_ptr<std::atomic<bool>>;

  explicit Worker(Napi::Env env);
  ~Worker();  // stops

  // JavaScript thread. Runs `work` on the worker's thread, then `settle` on the JavaScript thread.
  void post(std::function<void()> work, std::function<void(Napi::Env)> settle, CancelFlag cancelled);

  // Worker's thread. Runs `callback` on the JavaScript thread, some time later.
  void notify(std::function<void(Napi::Env)> callback);

  // JavaScript thread. Sets the flags of all pending jobs.
  void cancelAll();

  // JavaScript thread. Cancels, waits for the job that runs, drops the others, ends the thread. Again is fine.
  void stop();

 private:
  struct Job {
    std::function<void()> work;
    std::function<void(Napi::Env)> settle;
    CancelFlag cancelled;
  };

  void loop();
  static void atExit(void* self);

  Napi::Env env_;
  Napi::ThreadSafeFunction calls_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> queue_;
  std::vector<std::weak_ptr<std::atomic<bool>>> flags_;
  int64_t pending_ = 0;  // JavaScript thread only
  bool stopping_ = false;
  bool stopped_ = false;
};

}  // namespace dg::binding
