#pragma once

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "native/core/operators/avx512.h"
#include "native/core/operators/register_tile.h"

namespace dg {

// How matrices of bfloat16 are multiplied on this processor.
enum class Bfloat16Way {
  dot,       // by AVX-512's instruction for pairs of them
  widened,   // by AVX-512's float32 instructions, the factors widened in registers
  libtorch,  // by libtorch (oneDNN): where there is AMX, which has more than ten times the products, or no AVX-512
};

const char* name(Bfloat16Way way);  // "avx512_bf16", "avx512", "libtorch"

// Chosen once a process, from what the processor is: the same on every run. Intel's do two pairs by the first way in
// the time of four by the second, AMD's the other way round.
Bfloat16Way bfloat16Way();

// Whether the processor has matrix registers and the system lends them (AMX).
bool hasAmx();

// For tests, from then on; nullopt: the processor's.
void setBfloat16Way(std::optional<Bfloat16Way> way);

// Whether this package's own products are used.
inline bool hasOwnBfloat16() { return bfloat16Way() != Bfloat16Way::libtorch; }

#if DG_HAS_AVX512
// Calls work with the kind of register tile of an own way.
template <typename Work>
void withBfloat16Kind(Work work) {
  bfloat16Way() == Bfloat16Way::dot ? work(Bfloat16Kind()) : work(WidenedKind());
}

// `count` numbers as float32.
void widenRow(float* to, const at::BFloat16* from, int64_t count);

// `rows` rows of `count` numbers, `stride` apart, as a kind reads them: where they are, or widened in `room`.
struct ReadRows {
  const uint8_t* first;
  int64_t rowBytes;
};
template <typename Kind>
ReadRows asRead(const at::BFloat16* from, int64_t stride, int64_t rows, int64_t count, std::vector<float>& room) {
  if constexpr (Kind::kXBytes == WholeGroups::kXBytes) {
    return {reinterpret_cast<const uint8_t*>(from), stride * static_cast<int64_t>(sizeof(at::BFloat16))};
  } else {
    room.resize(std::max<size_t>(room.size(), rows * count));
    for (int64_t row = 0; row < rows; ++row) widenRow(room.data() + row * count, from + row * stride, count);
    return {reinterpret_cast<const uint8_t*>(room.data()), count * static_cast<int64_t>(sizeof(float))};
  }
}
#endif

}  // namespace dg
