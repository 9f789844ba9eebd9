#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

namespace dg {

// One of the package's operators by its kernel for the device of its arguments; the function has its signature.
template <typename Function>
auto dispatched(const char* name, Function*) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Function>();
}

}  // namespace dg
