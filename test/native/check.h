#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "native/core/error.h"

// Plain assertions for the C++ tests: one program a file, the first failure ends it.
namespace dg::test {

inline void fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  std::exit(1);
}

// The code of the dg::Error that `action` throws; empty when it throws none.
inline std::string codeOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code;
  }
  return "";
}

}  // namespace dg::test

#define REQUIRE(condition)                                                         \
  do {                                                                             \
    if (!(condition)) dg::test::fail(__FILE__, __LINE__, "not true: " #condition); \
  } while (false)
#define REQUIRE_THROWS(expected, action)                                                     \
  do {                                                                                       \
    const auto code = dg::test::codeOf([&] { action; });                                     \
    const std::string wanted = expected;                                                     \
    if (code != wanted) dg::test::fail(__FILE__, __LINE__, #action " gives '" + code + "'"); \
  } while (false)
