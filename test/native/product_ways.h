#pragma once

#include <vector>

#include "native/core/operators/avx512.h"
#include "native/core/operators/product_way.h"
#include "test/native/testing.h"

namespace dg::test {

// Those that this processor can go, its own and the others.
inline std::vector<ProductWays> waysHere() {
  std::vector<ProductWays> ways{{}};
  if (hasVnni()) ways.push_back({ProductWay::avx512, ProductWay::avx512});
  if (hasBfloat16()) ways.push_back({ProductWay::libtorch, ProductWay::dot});
  return ways;
}

inline void inEachWay(void (*body)()) {
  struct Restored {
    ~Restored() { setProductWays(std::nullopt); }
  } restored;
  for (const auto& ways : waysHere()) {
    CAPTURE(name(ways.float32));
    CAPTURE(name(ways.bfloat16));
    setProductWays(ways);
    body();
  }
}

}  // namespace dg::test

#define DG_IN_EACH_WAY(function, name)               \
  static void function();                            \
  TEST_CASE(name) { dg::test::inEachWay(function); } \
  static void function()
#define TEST_CASE_IN_EACH_WAY(name) DG_IN_EACH_WAY(DOCTEST_ANONYMOUS(dgInEachWay), name)
