#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace dg {

// Follows a pickle of an archive (data.pkl, constants.pkl) without building anything: what torch.jit.save writes, and
// nothing else. Every tensor has to lie within its storage, every storage has to be as large as the record that holds
// it; nothing is deeper than a module tree can be, contains itself, or is made by a function that is not known.
struct PickleRules {
  // Bytes of the record with a storage's key; nullopt: there is none.
  std::function<std::optional<uint64_t>(const std::string& key)> storageBytes;
  bool allowObjects = true;      // modules: the constants of a program are none
  bool allowAllClasses = false;  // also custom classes and quantised tensors: the caller trusts the file
};

// Throws MODEL_UNREADABLE, OPERATOR_REFUSED for custom classes.
void auditPickle(std::string_view pickle, const PickleRules& rules);

}  // namespace dg
