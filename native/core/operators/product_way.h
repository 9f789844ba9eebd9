#pragma once

#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "native/core/operators/avx512.h"
#include "native/core/operators/register_tile.h"

namespace dg {

// What multiplies matrices of a dtype on the CPU.
enum class ProductWay {
  libtorch,  // libtorch's: oneDNN's of packed weights, its own attention
  avx512,    // the package's register tiles, by AVX-512's float32 instructions; bfloat16 is widened in registers
  dot,       // the package's register tiles, by AVX-512's instruction for pairs of bfloat16
};

const char* name(ProductWay way);  // "libtorch", "avx512", "avx512_bf16"

struct ProductWays {
  ProductWay float32 = ProductWay::libtorch, bfloat16 = ProductWay::libtorch;
};

// Chosen once a process, from what the processor is: the same on every run.
ProductWay productWay(at::ScalarType dtype);

// For tests, from then on; nullopt: the processor's.
void setProductWays(std::optional<ProductWays> ways);

// Whether the package's own products are used.
inline bool hasOwnProduct(at::ScalarType dtype) { return productWay(dtype) != ProductWay::libtorch; }

// Whether the processor has matrix registers and the system lends them (AMX), which libtorch uses for bfloat16.
bool hasAmx();

#if DG_HAS_AVX512
// Calls work with the kind of register tile that an own product of T has.
template <typename T, typename Work>
void withTileKind(Work work) {
  if constexpr (std::is_same_v<T, float>) {
    work(Float32Kind());
  } else {
    productWay(at::kBFloat16) == ProductWay::dot ? work(Bfloat16Kind()) : work(WidenedKind());
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
  if constexpr (std::is_same_v<Kind, WidenedKind>) {
    room.resize(std::max<size_t>(room.size(), rows * count));
    for (int64_t row = 0; row < rows; ++row) widenRow(room.data() + row * count, from + row * stride, count);
    return {reinterpret_cast<const uint8_t*>(room.data()), count * static_cast<int64_t>(sizeof(float))};
  } else {
    return {reinterpret_cast<const uint8_t*>(from), stride * static_cast<int64_t>(sizeof(T))};
  }
}
#endif

}  // namespace dg
