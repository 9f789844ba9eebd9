#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace dg::test {

// A limit of data that leaves this process `bytes` more than it has: AddressSanitizer's map of the memory is writable
// and counts.
inline int64_t allowance(int64_t bytes) {
  std::ifstream status("/proc/self/status");
  int64_t kilobytes = 0;
  for (std::string word; status >> word;) {
    if (word == "VmData:") status >> kilobytes;
  }
  return kilobytes * 1024 + bytes;
}

}  // namespace dg::test
