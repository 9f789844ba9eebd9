#pragma once

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "native/core/operators/product_way.h"
#include "native/core/operators/register_tile.h"

#if DG_HAS_AVX512
namespace dg {

// Calls work with the kind of register tile that an own product of T has.
template <typename T, typename Work>
void withTileKind(Work work) {
  if constexpr (std::is_same_v<T, float>) {
    work(Float32Kind());
  } else {
    productWay(at::kBFloat16) == ProductWay::dot ? work(Bfloat16Kind()) : work(Float32Kind());
  }
}

// `count` numbers as float32.
void widenRow(float* to, const at::BFloat16* from, int64_t count);

// `rows` rows of `count` numbers, `stride` apart, as a kind reads them: where they are, or widened in `room`.
struct ReadRows {
  const uint8_t* first;
  int64_t rowBytes;
};
template <typename Kind, typename T>
ReadRows asRead(const T* from, int64_t stride, int64_t rows, int64_t count, std::vector<float>& room) {
  if constexpr (std::is_same_v<typename Kind::Operand, T>) {
    return {reinterpret_cast<const uint8_t*>(from), stride * static_cast<int64_t>(sizeof(T))};
  } else {
    room.resize(std::max<size_t>(room.size(), rows * count));
    for (int64_t row = 0; row < rows; ++row) widenRow(room.data() + row * count, from + row * stride, count);
    return {reinterpret_cast<const uint8_t*>(room.data()), count * static_cast<int64_t>(sizeof(float))};
  }
}

}  // namespace dg
#endif
