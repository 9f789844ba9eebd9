#pragma once

#include <napi.h>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "native/binding/environment.h"
#include "native/binding/errors.h"
#include "native/core/cancellation.h"

namespace dg::binding {

// A call that was begun, as JavaScript sees it: { promise, cancel() }.
inline Napi::Object callHandle(Napi::Env env, const Napi::Promise& promise, const Worker::CancelFlag& cancelled) {
  auto handle = Napi::Object::New(env);
  handle.Set("promise", promise);
  handle.Set("cancel", Napi::Function::New(env, [cancelled](const Napi::CallbackInfo&) { cancelled->store(true); }));
  return handle;
}

// Runs work() on the worker and answers the call with convert(env, result), or convert(env, call, result), which runs
// on the JavaScript thread. The promise settles after the worker has unwound; ABORT_ERR when `cancelled` was set.
// JavaScript thread.
template <typename Work, typename Convert>
void runCall(const std::shared_ptr<Environment>& environment, CallId id, Worker& worker, Worker::CancelFlag cancelled,
             Work work, Convert convert) {
  using Result = decltype(work());
  struct Outcome {
    std::optional<Result> result;
    std::exception_ptr failure;
  };
  worker.post(cancelled, [environment = environment.get(), id, cancelled, work = std::move(work),
                          convert = std::move(convert)]() mutable {
    auto outcome = std::make_shared<Outcome>();
    try {
      const CancelScope scope(*cancelled);
      requireNotCancelled();
      outcome->result.emplace(work());
    } catch (...) {
      outcome->failure = std::current_exception();
    }
    environment->answer(id, [outcome, convert](Napi::Env env, [[maybe_unused]] Call& call) -> Napi::Value {
      if (outcome->failure) std::rethrow_exception(outcome->failure);
      if constexpr (std::is_invocable_v<Convert, Napi::Env, Call&, Result&>) {
        return convert(env, call, *outcome->result);
      } else {
        return convert(env, *outcome->result);
      }
    });
  });
}

}  // namespace dg::binding
