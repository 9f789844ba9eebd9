#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace dg {

// A failure the caller can act on. `code` is stable (docs/errors.md); the message says what was wrong, what was found
// and what would be right.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code(std::move(code)) {}

  std::string code;
};

}  // namespace dg
