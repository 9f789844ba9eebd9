#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "native/binding/mailbox.h"
#include "native/binding/workers.h"

namespace dg::binding {

// A call from JavaScript that is answered later. It stays in its environment, on the JavaScript thread: native threads
// know its number alone, so nothing of JavaScript's is ever held, or freed, by another thread.
struct Call {
  explicit Call(Napi::Env env) : promise(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise::Deferred promise;
  Napi::ObjectReference owner;  // stays alive until the call is answered; may be empty
  std::vector<Napi::FunctionReference> callbacks;
  Napi::ObjectReference memory;  // an ArrayBuffer that a native thread writes into; may be empty
  Napi::Error thrown;            // by a callback: what the promise rejects with
};

using CallId = uint64_t;

// What belongs to one JavaScript environment (the main thread, or one worker_thread), and the owner of all that
// outlives a call: the native threads and the calls that wait for them. It closes before the environment ends, before
// the process exits and, where JavaScript hears of neither, before the C++ runtime destroys libtorch's static objects:
// all runs are cancelled, the threads joined, what they hold of JavaScript's is let go of. Nothing is called in
// JavaScript after that.
class Environment : public std::enable_shared_from_this<Environment> {
 public:
  // JavaScript thread, as the addon is loaded.
  static void install(Napi::Env env);
  static std::shared_ptr<Environment> of(Napi::Env env);
  ~Environment();

  // JavaScript thread. A native thread that ends with this environment at the latest. Throws DISPOSED when closed.
  std::shared_ptr<Worker> startWorker();

  // JavaScript thread. Registers a call; the process stays alive until it is answered. Throws DISPOSED when closed.
  std::pair<CallId, Call&> open(Napi::Env env);

  // Any thread. Runs `message` on the JavaScript thread, some time later, unless the call has been answered.
  void tell(CallId id, std::function<void(Napi::Env, Call&)> message);

  // Any thread. Answers a call, on the JavaScript thread: with the value, or what `value` throws.
  void answer(CallId id, std::function<Napi::Value(Napi::Env, Call&)> value);

  // JavaScript thread.
  void close();
  bool isClosed() const { return closed_; }

  Napi::FunctionReference nativeModel;
  Napi::FunctionReference nativeComponent;

 private:
  explicit Environment(Napi::Env env);
  static void onCleanUp(void* self);
  static void onRing(napi_env env, napi_value, void* self, void*);
  static void stopAll();
  static void closeAllHere(const Napi::CallbackInfo&);

  void requireOpen() const;

  Napi::Env env_;
  napi_threadsafe_function bell_ = nullptr;
  std::unique_ptr<Mailbox> mailbox_;
  std::unique_ptr<Workers> workers_;
  std::map<CallId, std::shared_ptr<Call>> calls_;  // JavaScript thread
  CallId lastCall_ = 0;
  bool closed_ = false;
};

}  // namespace dg::binding
