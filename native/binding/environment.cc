#include "native/binding/environment.h"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <set>
#include <utility>

#include "native/binding/errors.h"

namespace dg::binding {
namespace {

// Of the whole process; never destroyed, as threads may outlive static objects.
struct Registry {
  std::mutex mutex;
  std::set<Environment*> all;
};

Registry& registry() {
  static auto* registry = new Registry;
  return *registry;
}

// Exit handlers run last in, first out, with the destructors of static objects among them: to be run before those that
// libtorch makes while it loads and runs for the first times, ours is registered again after each of these.
void registerExitHandler(void (*handler)()) {
  static std::atomic<int> left = 16;
  if (left.fetch_sub(1) > 0) std::atexit(handler);
}

// Of this JavaScript thread: more than one where the addon was loaded more than once (jest does).
thread_local std::set<Environment*> here;

}  // namespace

Environment::Environment(Napi::Env env) : env_(env) {
  napi_value name;
  napi_create_string_utf8(env, "detail-guidance", NAPI_AUTO_LENGTH, &name);
  const auto status =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, onRing, &bell_);
  if (status != napi_ok) throw Napi::Error::New(env);
  napi_unref_threadsafe_function(env, bell_);
  mailbox_ = std::make_unique<Mailbox>(
      [bell = bell_] { napi_call_threadsafe_function(bell, nullptr, napi_tsfn_nonblocking); });
  workers_ = std::make_unique<Workers>(*mailbox_);
  // Clean-up hooks run last in, first out: this one before Node takes the bell away.
  napi_add_env_cleanup_hook(env, onCleanUp, this);
  const std::lock_guard lock(registry().mutex);
  registry().all.insert(this);
}

Environment::~Environment() {
  here.erase(this);
  const std::lock_guard lock(registry().mutex);
  registry().all.erase(this);
}

void Environment::install(Napi::Env env) {
  registerExitHandler(stopAll);
  auto* environment = new std::shared_ptr<Environment>(new Environment(env));
  env.SetInstanceData(environment);  // deleted with the environment, after the clean-up hooks
  if (here.empty()) {
    // process.exit() on the main thread runs no clean-up hook.
    const auto process = env.Global().Get("process");
    if (process.IsObject() && process.As<Napi::Object>().Get("once").IsFunction()) {
      const auto once = process.As<Napi::Object>().Get("once").As<Napi::Function>();
      once.Call(process, {Napi::String::New(env, "exit"), Napi::Function::New(env, closeAllHere)});
    }
  }
  here.insert(environment->get());
}

std::shared_ptr<Environment> Environment::of(Napi::Env env) {
  return *env.GetInstanceData<std::shared_ptr<Environment>>();
}

void Environment::requireOpen() const {
  if (closed_) throw error(env_, "DISPOSED", "The process or its worker thread is ending: nothing begins any more.");
}

std::shared_ptr<Worker> Environment::startWorker() {
  requireOpen();
  return workers_->start();
}

std::pair<CallId, Call&> Environment::open(Napi::Env env) {
  requireOpen();
  auto call = std::make_shared<Call>(env);
  if (calls_.empty()) napi_ref_threadsafe_function(env, bell_);
  const auto& [id, added] = *calls_.emplace(++lastCall_, std::move(call)).first;
  return {id, *added};
}

void Environment::tell(CallId id, std::function<void(Napi::Env, Call&)> message) {
  mailbox_->post([this, id, message = std::move(message)] {
    const auto entry = calls_.find(id);
    if (entry == calls_.end()) return;
    // Kept for as long as it is used: what is called may end the environment.
    const auto call = entry->second;
    const Napi::HandleScope scope(env_);
    message(env_, *call);
  });
}

void Environment::answer(CallId id, std::function<Napi::Value(Napi::Env, Call&)> value) {
  registerExitHandler(stopAll);
  tell(id, [this, id, value = std::move(value)](Napi::Env env, Call& call) {
    calls_.erase(id);
    if (calls_.empty()) napi_unref_threadsafe_function(env, bell_);
    try {
      if (!call.thrown.IsEmpty()) throw call.thrown;
      call.promise.Resolve(value(env, call));
    } catch (const Napi::Error& failure) {
      call.promise.Reject(failure.Value());
    } catch (const std::exception& cause) {
      call.promise.Reject(error(env, cause).Value());
    }
  });
}

void Environment::onRing(napi_env env, napi_value, void* self, void*) {
  if (env == nullptr) return;  // rung before the environment began to end
  try {
    static_cast<Environment*>(self)->mailbox_->deliver();
  } catch (...) {
    // What can be answered has been. The environment is terminating, so that no call into JavaScript works any more:
    // there is nobody to tell.
  }
}

void Environment::close() {
  if (closed_) return;
  closed_ = true;
  workers_->stop();
  mailbox_->close();
  workers_->clear();
  calls_.clear();
  nativeModel.Reset();
  nativeComponent.Reset();
  napi_release_threadsafe_function(bell_, napi_tsfn_abort);
}

void Environment::onCleanUp(void* self) { static_cast<Environment*>(self)->close(); }

void Environment::closeAllHere(const Napi::CallbackInfo&) {
  for (auto* environment : std::set<Environment*>(here)) environment->close();
}

void Environment::stopAll() {
  const std::lock_guard lock(registry().mutex);
  for (auto* environment : registry().all) {
    environment->mailbox_->close();
    environment->workers_->stop();
  }
}

}  // namespace dg::binding
