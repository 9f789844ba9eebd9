#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "native/binding/call.h"
#include "native/core/device/memory.h"

namespace dg::binding {

// What JavaScript's NativeModel and NativeComponent have in common: `Core` is loaded on a worker of its own, used there
// and freed there. JavaScript thread, where nothing else is said.
//
// `Self` has `kind`, a word for messages, `constructor(Environment&)`, its class in JavaScript, `bytesOf(const Core&)`
// and `onLoaded(const Core&)`, which takes down what is the worker's alone afterwards.
template <typename Self, typename Core>
class Loaded : public Napi::ObjectWrap<Self> {
 public:
  explicit Loaded(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Self>(info) {
    info.This().template As<Napi::Object>().TypeTag(&tag());
  }

  // Nobody in JavaScript has it any more, or its environment is ending.
  ~Loaded() override {
    if (!worker_) return;
    worker_->end();  // its environment joins it
    if (core_ != nullptr && !environment_->isClosed()) {
      Napi::MemoryManagement::AdjustExternalMemory(this->Env(), -reportedBytes_);
    }
  }

 protected:
  // [async] Runs load() on a new worker. Gives { promise, cancel() }, the promise of a `Self`.
  template <typename Load>
  static Napi::Value startLoad(Napi::Env env, Load load) {
    const auto environment = Environment::of(env);
    auto [id, call] = environment->open(env);
    const auto worker = environment->startWorker();
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    auto handle = callHandle(env, call.promise.Promise(), cancelled);
    runCall(
        environment, id, *worker, cancelled,
        [worker = worker.get(), load = std::move(load)] {
          try {
            // Freed by its worker, which then gives the device's memory back to whoever else wants it.
            const std::shared_ptr<Core> core(load().release(), [](Core* freed) {
              const auto device = freed->device();
              delete freed;
              returnCache(device);
            });
            worker->keep(core);
            return core.get();
          } catch (...) {
            worker->end();
            throw;
          }
        },
        // Weak, as this goes through the worker's own thread, which cannot wait for itself.
        [environment = environment.get(), worker = std::weak_ptr(worker)](Napi::Env settled,
                                                                          Core* core) -> Napi::Value {
          auto object = Self::constructor(*environment).New({});
          Loaded& self = *Napi::ObjectWrap<Self>::Unwrap(object);
          self.environment_ = environment->shared_from_this();
          self.worker_ = worker.lock();
          self.reportedBytes_ = Self::bytesOf(*core);
          self.core_ = core;
          static_cast<Self&>(self).onLoaded(*core);
          Napi::MemoryManagement::AdjustExternalMemory(settled, self.reportedBytes_);
          return object;
        });
    return handle;
  }

  // [async] Runs work() on the worker: { promise, cancel() }.
  template <typename Work, typename Convert>
  Napi::Object start(Napi::Env env, Work work, Convert convert) {
    return start(
        env, std::make_shared<std::atomic<bool>>(false), {}, [&](CallId) { return std::move(work); },
        std::move(convert));
  }

  // The same for work that writes into `memory`, which stays where it is until the call is answered.
  template <typename Work, typename Convert>
  Napi::Object start(Napi::Env env, const Napi::ArrayBuffer& memory, Work work, Convert convert) {
    return start(
        env, std::make_shared<std::atomic<bool>>(false), {}, [&](CallId) { return std::move(work); },
        std::move(convert), memory);
  }

  // The same for work that calls functions of JavaScript: makeWork(id) is given the number of the call.
  template <typename MakeWork, typename Convert>
  Napi::Object start(Napi::Env env, const Worker::CancelFlag& cancelled, std::vector<Napi::FunctionReference> callbacks,
                     MakeWork makeWork, Convert convert, const Napi::ArrayBuffer& memory = {}) {
    auto [id, call] = environment_->open(env);
    call.owner = Napi::Persistent(this->Value());
    call.callbacks = std::move(callbacks);
    if (!memory.IsEmpty()) call.memory = Napi::Persistent(memory.template As<Napi::Object>());
    auto handle = callHandle(env, call.promise.Promise(), cancelled);
    runCall(environment_, id, *worker_, cancelled, makeWork(id), std::move(convert));
    return handle;
  }

  // [async] dispose(): cancels what runs, waits for it, frees the core on its worker; then the promise settles. Again
  // is fine.
  Napi::Value dispose(const Napi::CallbackInfo& info) {
    const auto env = info.Env();
    if (core_ == nullptr || environment_->isClosed()) {
      auto promise = Napi::Promise::Deferred::New(env);
      promise.Resolve(env.Undefined());
      return promise.Promise();
    }
    core_ = nullptr;
    auto [id, call] = environment_->open(env);
    worker_->post(std::make_shared<std::atomic<bool>>(false),
                  [worker = worker_.get(), environment = environment_.get(), id, bytes = reportedBytes_] {
                    worker->keep(nullptr);
                    environment->answer(id, [bytes](Napi::Env settled, Call&) -> Napi::Value {
                      Napi::MemoryManagement::AdjustExternalMemory(settled, -bytes);
                      return settled.Undefined();
                    });
                  });
    worker_->end();
    return call.promise.Promise();
  }

  // A method as JavaScript sees it.
  template <auto function>
  static auto method(const char* name) {
    using Callback = Napi::Value (Self::*)(const Napi::CallbackInfo&);
    return Napi::ObjectWrap<Self>::InstanceMethod(name,
                                                  static_cast<Callback>(&Loaded::template guardedMethod<function>));
  }

  // Throws DISPOSED. What is read of it on the JavaScript thread never changes; the rest is its worker's.
  Core& core(Napi::Env env) const {
    if (core_ == nullptr) {
      throw error(env, "DISPOSED", std::string("The ") + Self::kind + " has been disposed of: load it again.");
    }
    return *core_;
  }

 private:
  // What a call from JavaScript goes through: `this` is of the right kind, and no exception of C++ leaves it.
  template <auto function>
  Napi::Value guardedMethod(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const bool isOurs = info.This().IsObject() && info.This().template As<Napi::Object>().CheckTypeTag(&tag());
      if (!isOurs) throw error(info.Env(), "BAD_OPTION", std::string("This is not a ") + Self::kind + ".");
      return (static_cast<Self*>(this)->*function)(info);
    });
  }

  static const napi_type_tag& tag() {
    static const napi_type_tag tag{0x6465'7461'696c'6775, reinterpret_cast<uint64_t>(&tag)};
    return tag;
  }

  std::shared_ptr<Environment> environment_;
  std::shared_ptr<Worker> worker_;
  Core* core_ = nullptr;  // its worker's
  int64_t reportedBytes_ = 0;
};

}  // namespace dg::binding
