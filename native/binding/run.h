#pragma once

#include <napi.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "native/binding/convert.h"
#include "native/binding/worker.h"
#include "native/core/cancellation.h"
#include "native/core/device/memory.h"
#include "native/core/error.h"

namespace dg::binding {

// Runs work() on the worker and gives { promise, cancel() }; convert(env, result) makes the promise's value on the
// JavaScript thread. `owner` is kept alive until the run has settled. JavaScript thread.
template <typename Owner, typename Work, typename Convert>
Napi::Value startRun(Napi::Env env, Owner& owner, Worker& worker, Work work, Convert convert,
                     Worker::CancelFlag cancelled) {
  using Result = decltype(work());
  struct Outcome {
    std::optional<Result> result;
    std::exception_ptr failure;
  };
  auto outcome = std::make_shared<Outcome>();
  auto deferred = std::make_shared<Napi::Promise::Deferred>(Napi::Promise::Deferred::New(env));
  owner.Ref();
  worker.post(
      [outcome, work = std::move(work), cancelled]() mutable {
        try {
          const CancelScope scope(*cancelled);
          requireNotCancelled();
          outcome->result.emplace(work());
        } catch (...) {
          outcome->failure = std::current_exception();
        }
      },
      [&owner, outcome, deferred, convert = std::move(convert)](Napi::Env settled) {
        const Napi::HandleScope scope(settled);
        try {
          if (outcome->failure) std::rethrow_exception(outcome->failure);
          deferred->Resolve(convert(settled, *outcome->result));
        } catch (const Napi::Error& thrown) {
          deferred->Reject(thrown.Value());
        } catch (const std::exception& cause) {
          deferred->Reject(error(settled, cause).Value());
        }
        owner.Unref();
      },
      cancelled);
  auto handle = Napi::Object::New(env);
  handle.Set("promise", deferred->Promise());
  handle.Set("cancel", Napi::Function::New(env, [cancelled](const Napi::CallbackInfo&) { cancelled->store(true); }));
  return handle;
}

// Frees what `owner` holds on the thread that may be using it, gives the device's memory back to whoever else wants it,
// and stops the worker; the promise settles afterwards. Again is fine. `owner` owns the worker. JavaScript thread.
template <typename Owner, typename Held>
Napi::Value startDispose(Napi::Env env, Owner& owner, Worker& worker, std::shared_ptr<Held>& held, bool& disposed,
                         int64_t reportedBytes) {
  auto deferred = std::make_shared<Napi::Promise::Deferred>(Napi::Promise::Deferred::New(env));
  if (disposed) {
    deferred->Resolve(env.Undefined());
    return deferred->Promise();
  }
  disposed = true;
  worker.cancelAll();
  owner.Ref();
  worker.post(
      [held = std::move(held)]() mutable {
        const auto device = held->device();
        held.reset();
        returnCache(device);
      },
      [&owner, &worker, deferred, reportedBytes](Napi::Env settled) {
        const Napi::HandleScope scope(settled);
        worker.stop();
        Napi::MemoryManagement::AdjustExternalMemory(settled, -reportedBytes);
        deferred->Resolve(settled.Undefined());
        owner.Unref();
      },
      std::make_shared<std::atomic<bool>>(false));
  held = nullptr;
  return deferred->Promise();
}

}  // namespace dg::binding
