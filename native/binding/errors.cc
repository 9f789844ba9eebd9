#include "native/binding/errors.h"

#include <c10/util/Exception.h>

#include "native/core/device/memory.h"
#include "native/core/error.h"

namespace dg::binding {

Napi::Error error(Napi::Env env, const std::string& code, const std::string& message) {
  auto result = Napi::Error::New(env, message);
  result.Value().Set("code", code);
  return result;
}

Napi::Error error(Napi::Env env, const std::exception& cause) {
  if (const auto* known = dynamic_cast<const dg::Error*>(&cause)) return error(env, known->code, known->what());
  if (isOutOfMemory(cause)) {
    return error(env, "OUT_OF_MEMORY", std::string("There is not enough memory: ") + cause.what());
  }
  if (const auto* torch = dynamic_cast<const c10::Error*>(&cause)) {
    return error(env, "MODEL_FAILED", torch->what_without_backtrace());
  }
  return error(env, "MODEL_FAILED", cause.what());
}

}  // namespace dg::binding
