#pragma once

#include <vector>

#include "native/core/operators/bfloat16_way.h"
#include "test/native/testing.h"

namespace dg::test {

// Those that this processor can go, its own and the others.
inline std::vector<Bfloat16Way> waysHere() {
  std::vector<Bfloat16Way> ways{Bfloat16Way::libtorch};
  if (hasVnni()) ways.push_back(Bfloat16Way::widened);
  if (hasBfloat16()) ways.push_back(Bfloat16Way::dot);
  return ways;
}

inline void inEachWay(void (*body)()) {
  struct Restored {
    ~Restored() { setBfloat16Way(std::nullopt); }
  } restored;
  for (const auto way : waysHere()) {
    CAPTURE(name(way));
    setBfloat16Way(way);
    body();
  }
}

}  // namespace dg::test

#define DG_IN_EACH_WAY(function, name)               \
  static void function();                            \
  TEST_CASE(name) { dg::test::inEachWay(function); } \
  static void function()
#define TEST_CASE_IN_EACH_WAY(name) DG_IN_EACH_WAY(DOCTEST_ANONYMOUS(dgInEachWay), name)
