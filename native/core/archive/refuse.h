#pragma once

#include <string>

#include "native/core/error.h"

namespace dg {

// Of an archive's content: whoever opens the file says which one it is.
[[noreturn]] inline void refuse(const std::string& reason) { throw Error("MODEL_UNREADABLE", reason); }

}  // namespace dg
