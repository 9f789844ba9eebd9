#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace dg {

// The program of an archive, read by libtorch's own lexer before libtorch parses it. Its parser and compiler call
// themselves for everything nested and run what can be computed at once, so:
// - nothing is nested deeper than a printed model is, nor do classes and functions need each other in longer chains;
// - defaults of arguments and what stands in a class are plain values, since they are computed while the file is read;
// - no class takes part in reading (`__setstate__`, custom classes), and no function outside the closed list
//   (operators.h) is named that could be computed while the file is read.
// The operators of everything else are known once it is compiled (audit.h).
class SourceAudit {
 public:
  // `allowAllOperators`: what is nested too deeply is refused all the same.
  explicit SourceAudit(bool allowAllOperators) : allowAllOperators_(allowAllOperators) {}

  // `record`: "code/__torch__/module.py". Throws MODEL_UNREADABLE, OPERATOR_REFUSED.
  void read(const std::string& record, std::string_view source);

  // After all records: throws MODEL_UNREADABLE for chains that are too long.
  void finish() const;

 private:
  void requireAllowed(const std::vector<std::string>& dotted, bool isPart, int after, const std::string& record);
  void requireAllowedName(const std::string& name, const std::string& record);

  bool allowAllOperators_;
  std::unordered_map<std::string, bool> names_;  // whether a name may be called or stand behind a dot
  // Classes and functions by name, each with those it names.
  std::vector<std::pair<std::string, std::vector<std::string>>> definitions_;
};

}  // namespace dg
