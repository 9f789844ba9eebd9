#pragma once

#include <napi.h>

#include "native/core/sampling/plan.h"

namespace dg::binding {

// Indices and lengths that the core takes for granted. Throws BAD_OPTION.
void requireConsistent(Napi::Env env, const Plan& plan);

}  // namespace dg::binding
