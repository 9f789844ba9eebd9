#include "native/core/model/operator_library.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <mutex>

#include "native/core/error.h"
#include "native/core/graph/interruption.h"
#include "native/core/graph/offload.h"
#include "native/core/hooks/tap.h"
#include "native/core/operators/define.h"
#include "native/core/operators/names.h"
#include "native/core/recording/statistics.h"

namespace dg {

void registerOperators() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (c10::Dispatcher::singleton().findSchema({kTap, ""})) {
      throw Error("ADDON_DUPLICATE",
                  "Another copy of detail-guidance is loaded in this process. Install it once and let both users "
                  "share it (npm dedupe).");
    }
    // Kept until the process ends: programs that hold the operators may outlive every scope of ours.
    static auto* library = new torch::Library(torch::Library::DEF, kNamespace, std::nullopt, __FILE__, __LINE__);
    defineInterruption(*library);
    defineTaps(*library);
    defineOffloadMark(*library);
    defineOperators(*library);
    defineStatistics(*library);
  });
}

}  // namespace dg
