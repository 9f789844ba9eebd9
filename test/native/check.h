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

#define REQUIRE(condition) \
  if (!(condition)) dg::test::fail(__FILE__, __LINE__, "REQUIRE(" #condition ") failed")
#define REQUIRE_THROWS(code, action) \
  if (dg::test::codeOf([&] { action; }) != (code)) dg::test::fail(__FILE__, __LINE__, #action " does not throw " code)
