#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>
#include <vector>

namespace dg {

// The rows of a quantised layer's input in 8 bits.

// A row of which some numbers are taken for 0: those whose bit in `taken`, 16 of them in each, is 0.
template <typename T>
struct Row {
  const T* values;
  const float* factors;  // what each is multiplied by; null: nothing
  const uint16_t* taken;
  int64_t count;
};

// `taken` of a row without the channels.
std::vector<uint16_t> takenWithout(const int64_t* channels, int64_t channelCount, int64_t count);

struct Range {
  float least = 0, largest = 0;  // 0 is always inside
  bool isFinite = true;
};
Range rangeOf(const Row<float>& row);
Range rangeOf(const Row<at::BFloat16>& row);
Range joined(const Range& a, const Range& b);

// The range in 255 steps.
struct Scale {
  float step = 1;         // NaN where the values are not finite
  float inverse = 0;      // 0 there
  int32_t zeroPoint = 0;  // the whole number that stands for 0
};
Scale scaleOf(const Range& range);

// out: `count` numbers.
void roundRow(uint8_t* out, const Row<float>& row, const Scale& scale);
void roundRow(uint8_t* out, const Row<at::BFloat16>& row, const Scale& scale);

}  // namespace dg
