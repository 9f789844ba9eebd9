#include "native/core/hooks/edit.h"

#include <array>

#include "native/core/error.h"

namespace dg {
namespace {

constexpr std::array<std::pair<Operation, const char*>, 9> operationNames{{{Operation::retain, "retain"},
                                                                           {Operation::mean, "mean"},
                                                                           {Operation::affine, "affine"},
                                                                           {Operation::transplant, "transplant"},
                                                                           {Operation::skip, "skip"},
                                                                           {Operation::shuffle, "shuffle"},
                                                                           {Operation::identity, "identity"},
                                                                           {Operation::blur, "blur"},
                                                                           {Operation::match, "match"}}};

void requireBelow(const std::vector<int64_t>& indices, int64_t size, const char* code, const char* what,
                  const std::string& path) {
  for (const auto index : indices) {
    if (index < 0 || index >= size) {
      throw Error(code, std::string(what) + " " + std::to_string(index) + " does not exist at " + path + ": it has " +
                            std::to_string(size) + ", so 0 to " + std::to_string(size - 1) + ".");
    }
  }
}

}  // namespace

Operation operationNamed(const std::string& name) {
  std::string known;
  for (const auto& [value, text] : operationNames) {
    if (name == text) return value;
    known += (known.empty() ? "'" : ", '") + std::string(text) + "'";
  }
  throw Error("BAD_OPTION", "operation is '" + name + "': expected one of " + known + ".");
}

bool haveSameStructure(const Edit& a, const Edit& b) {
  const auto count = [](const std::optional<std::vector<int64_t>>& list) {
    return list ? static_cast<int64_t>(list->size()) : -1;
  };
  const auto shape = [](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.sizes().vec() : std::vector<int64_t>{};
  };
  return a.path == b.path && a.tap == b.tap && a.stream == b.stream && a.operation == b.operation &&
         count(a.channels) == count(b.channels) && count(a.tokens) == count(b.tokens) &&
         a.scale.size() == b.scale.size() && a.shift.size() == b.shift.size() &&
         a.reference.size() == b.reference.size() && shape(a.source) == shape(b.source) &&
         (!a.source.defined() || a.source.scalar_type() == b.source.scalar_type()) && a.sigma == b.sigma &&
         a.grid == b.grid && a.lastTokens == b.lastTokens;
}

void requireInRange(const Edit& edit, int64_t channels, int64_t tokens) {
  if (edit.channels) requireBelow(*edit.channels, channels, "CHANNEL_OUT_OF_RANGE", "Channel", edit.path);
  requireBelow(edit.reference, channels, "CHANNEL_OUT_OF_RANGE", "Channel", edit.path);
  if (edit.tokens) requireBelow(*edit.tokens, tokens, "TOKEN_OUT_OF_RANGE", "Token", edit.path);
}

}  // namespace dg
