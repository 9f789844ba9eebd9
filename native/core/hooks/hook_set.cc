#include "native/core/hooks/hook_set.h"

#include <utility>

namespace dg {
namespace {

thread_local const HookSet* active = nullptr;

class ActiveHooks {
 public:
  explicit ActiveHooks(const HookSet& hooks) : previous_(std::exchange(active, &hooks)) {}
  ~ActiveHooks() { active = previous_; }
  ActiveHooks(const ActiveHooks&) = delete;
  ActiveHooks& operator=(const ActiveHooks&) = delete;

 private:
  const HookSet* previous_;
};

}  // namespace

const SiteHooks* HookSet::find(int64_t site) const {
  const auto entry = sites_.find(site);
  return entry == sites_.end() ? nullptr : &entry->second;
}

std::vector<int64_t> HookSet::sites() const {
  std::vector<int64_t> indices;
  for (const auto& entry : sites_) indices.push_back(entry.first);
  return indices;
}

const HookSet* activeHooks() { return active; }

Values runWithHooks(const Program& program, Values inputs, const HookSet& hooks) {
  const ActiveHooks scope(hooks);
  return program.run(std::move(inputs));
}

}  // namespace dg
