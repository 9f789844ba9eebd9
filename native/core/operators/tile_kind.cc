#include "native/core/operators/tile_kind.h"

#if DG_HAS_AVX512
namespace dg {

DG_AVX512 void widenRow(float* to, const at::BFloat16* from, int64_t count) {
  int64_t i = 0;
  for (; i + kPanel <= count; i += kPanel) storeLanes(to + i, 0xffff, loadLanes(0xffff, from + i));
  if (i < count) storeLanes(to + i, lanes(count - i), loadLanes(lanes(count - i), from + i));
}

namespace {

template <int kBeside>
DG_AVX512_INLINE void widenBeside(float* to, const uint8_t* from, int64_t groups) {
  for (int64_t group = 0; group < groups; ++group, from += kBeside * kPanelBytes, to += 2 * kBeside * kPanel) {
#pragma GCC unroll 4
    for (int n = 0; n < kBeside; ++n) {
      const __m512i pairs = _mm512_loadu_si512(from + n * kPanelBytes);
      _mm512_storeu_si512(to + n * kPanel, _mm512_slli_epi32(pairs, 16));
      _mm512_storeu_si512(to + (kBeside + n) * kPanel, _mm512_and_si512(pairs, _mm512_set1_epi32(-65536)));
    }
  }
}

}  // namespace

DG_AVX512 void widenPanels(float* to, const uint8_t* from, int64_t groups, int64_t beside) {
  beside == kTilePanels ? widenBeside<kTilePanels>(to, from, groups) : widenBeside<1>(to, from, groups);
}

}  // namespace dg
#endif
