#pragma once

#include <napi.h>

#include <exception>
#include <string>

namespace dg::binding {

Napi::Error error(Napi::Env env, const std::string& code, const std::string& message);
// Any C++ exception as a JavaScript error with a code (MODEL_FAILED for those of libtorch).
Napi::Error error(Napi::Env env, const std::exception& cause);

// Runs what JavaScript called: an exception of C++ leaves it as a JavaScript error with a code. Every function that
// JavaScript sees goes through it, since an exception in Node's own frames ends the process.
template <typename Function>
auto guarded(Napi::Env env, Function&& function) -> decltype(function()) {
  try {
    return function();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& cause) {
    throw error(env, cause);
  } catch (...) {
    throw error(env, "MODEL_FAILED", "The native code failed without saying why.");
  }
}

// `function` as JavaScript sees it.
template <Napi::Value (*function)(const Napi::CallbackInfo&)>
Napi::Value entry(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return function(info); });
}

}  // namespace dg::binding
