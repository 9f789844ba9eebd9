#pragma once

// doctest, without its short macro names: libtorch has some of the same.
#define DOCTEST_CONFIG_NO_SHORT_MACRO_NAMES
#include <functional>
#include <string>

#include "native/core/error.h"
#include "third_party/doctest/doctest.h"

#define TEST_CASE(name) DOCTEST_TEST_CASE(name)
#define SUBCASE(name) DOCTEST_SUBCASE(name)
#define CAPTURE(value) DOCTEST_CAPTURE(value)
#define REQUIRE(...) DOCTEST_REQUIRE(__VA_ARGS__)
#define REQUIRE_NOTHROW(...) DOCTEST_REQUIRE_NOTHROW(__VA_ARGS__)

namespace dg::test {

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

#define REQUIRE_CODE(expected, action) DOCTEST_REQUIRE_EQ(dg::test::codeOf([&] { action; }), expected)
