#include "native/binding/worker.h"

#include <algorithm>
#include <utility>

namespace dg::binding {

Worker::Worker(Napi::Env env) : env_(env) {
  calls_ = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}),
                                         "detail-guidance", 0, 1);
  calls_.Unref(env);
  // Hooks run last in, first out: the thread has ended before Node takes the thread-safe function away.
  napi_add_env_cleanup_hook(env, atExit, this);
  thread_ = std::thread([this] { loop(); });
}

Worker::~Worker() { stop(); }

void Worker::atExit(void* self) { static_cast<Worker*>(self)->stop(); }

void Worker::post(std::function<void()> work, std::function<void(Napi::Env)> settle, CancelFlag cancelled) {
  if (pending_++ == 0) calls_.Ref(env_);
  const std::lock_guard lock(mutex_);
  flags_.erase(std::remove_if(flags_.begin(), flags_.end(), [](const auto& flag) { return flag.expired(); }),
               flags_.end());
  flags_.push_back(cancelled);
  auto release = [this, settle = std::move(settle)](Napi::Env env) {
    if (--pending_ == 0) calls_.Unref(env);
    settle(env);
  };
  queue_.push_back(std::make_shared<Job>(Job{std::move(work), std::move(release), std::move(cancelled)}));
  wake_.notify_one();
}

void Worker::notify(std::function<void(Napi::Env)> callback) {
  auto* kept = new std::function<void(Napi::Env)>(std::move(callback));
  const auto status =
      calls_.NonBlockingCall(kept, [](Napi::Env env, Napi::Function, std::function<void(Napi::Env)>* call) {
        const std::unique_ptr<std::function<void(Napi::Env)>> owned(call);
        if (static_cast<napi_env>(env) != nullptr) (*owned)(env);
      });
  if (status != napi_ok) delete kept;  // the environment is going away: there is nobody to tell
}

void Worker::loop() {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    job->work();
    // The job goes along, to be destroyed on the JavaScript thread: it holds references to JavaScript's objects, and
    // maybe the last one to this worker, which its own thread could not wait for.
    notify([finished = std::move(job)](Napi::Env env) { finished->settle(env); });
  }
}

void Worker::cancelAll() {
  const std::lock_guard lock(mutex_);
  for (const auto& flag : flags_) {
    if (const auto alive = flag.lock()) alive->store(true);
  }
}

void Worker::stop() {
  if (stopped_) return;
  stopped_ = true;
  cancelAll();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  napi_remove_env_cleanup_hook(env_, atExit, this);
  calls_.Release();
}

}  // namespace dg::binding
