#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <utility>

namespace dg {

// A map that keeps the entries which were used last.
template <typename Key, typename Value>
class BoundedMap {
 public:
  explicit BoundedMap(size_t most) : most_(most) {}

  // Null where there is none; what is found counts as used.
  Value* find(const Key& key) {
    const auto known = places_.find(key);
    if (known == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, known->second);
    return &entries_.front().second;
  }

  // Takes the place of an entry with the same key.
  Value& put(const Key& key, Value value) {
    if (Value* present = find(key)) return *present = std::move(value);
    entries_.emplace_front(key, std::move(value));
    places_.emplace(key, entries_.begin());
    if (entries_.size() > most_) {
      places_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return entries_.front().second;
  }

  size_t size() const { return entries_.size(); }

 private:
  size_t most_;
  std::list<std::pair<Key, Value>> entries_;  // the latest first
  std::map<Key, typename std::list<std::pair<Key, Value>>::iterator> places_;
};

}  // namespace dg
