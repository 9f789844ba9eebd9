#include "native/core/model/preparation.h"

#include "native/core/device/memory.h"
#include "native/core/error.h"

namespace dg {

void refusePreparation(const std::string& file, at::Device device, const c10::Error& error) {
  const std::string why = error.what_without_backtrace();
  if (!isOutOfMemory(error)) throw Error("MODEL_UNREADABLE", file + " can not be prepared: " + why);
  throw Error("OUT_OF_MEMORY", file + " does not fit into the memory of " + device.str() + ": " + why);
}

}  // namespace dg
