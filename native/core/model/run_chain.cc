#include "native/core/model/run_chain.h"

#include <unordered_map>
#include <utility>

#include "native/core/cancellation.h"

namespace dg {

Values runChain(const Chain& chain, const Values& inputs, const std::vector<RowSelection>& selections,
                const std::vector<HookSet>& hooks) {
  std::unordered_map<int64_t, c10::IValue> live;
  for (size_t i = 0; i < inputs.size(); ++i) live[static_cast<int64_t>(i)] = inputs[i];
  for (size_t k = 0;; ++k) {
    requireNotCancelled();
    const auto& segment = chain.segments[k];
    const bool isLast = k + 1 == chain.segments.size();
    if (k > 0) {
      std::unordered_map<int64_t, c10::IValue> gathered;
      const auto& selection = selections[k - 1];
      for (const auto id : chain.crossing[k - 1]) {
        gathered[id] = selection.isIdentity() ? live.at(id) : gatherRows(live.at(id), chain.rules.at(id), selection);
      }
      live = std::move(gathered);
    }
    Values arguments;
    for (const auto id : segment.inputs) arguments.push_back(live.at(id));
    if (isLast) live.clear();
    auto results = runWithHooks(segment.program, std::move(arguments), hooks[k]);
    if (isLast) return results;
    for (size_t i = 0; i < results.size(); ++i) live[segment.outputs[i]] = std::move(results[i]);
  }
}

}  // namespace dg
