#pragma once

#include <napi.h>

namespace dg::binding {

// What belongs to one JavaScript environment (the main thread, or one worker_thread).
struct Environment {
  Napi::FunctionReference nativeModel;
  Napi::FunctionReference nativeComponent;
};

}  // namespace dg::binding
