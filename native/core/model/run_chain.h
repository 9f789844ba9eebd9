#pragma once

#include <vector>

#include "native/core/graph/cut.h"
#include "native/core/hooks/hook_set.h"

namespace dg {

// Runs a model that was cut, segment after segment. At each cut the values that cross are gathered into other rows:
// `selections`, one per cut; `hooks`, one set per segment.
Values runChain(const Chain& chain, const Values& inputs, const std::vector<RowSelection>& selections,
                const std::vector<HookSet>& hooks);

}  // namespace dg
