#pragma once

#include "native/core/operators/avx512.h"
#include "native/core/operators/panels.h"

#if DG_HAS_AVX512
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace dg {

// A tile of a matrix product whose sums stay in registers. Both factors are read in groups of four bytes (four 8 bit
// numbers or two of bfloat16), of which one instruction sums up the products: x has a row's groups one after the other,
// the other factor lies in panels of 16 outputs, in a panel a group of each output side by side (panels.h).
//
// A kind says how: `Sum`, `add(sum, x, panel)`.

// 24 of the 32 registers hold sums; each number that is read is used four or six times.
constexpr int kTileRows = 6, kTilePanels = 4, kPanel = kPanelOutputs, kPanelBytes = kPanel * kGroupBytes;

struct Int8Kind {
  using Sum = int32_t;
  static DG_AVX512_INLINE void add(__m512i& sum, __m512i x, __m512i panel) { sum = _mm512_dpbusd_epi32(sum, x, panel); }
};

// Only where hasBfloat16() says so.
struct Bfloat16Kind {
  using Sum = float;
  static DG_AVX512_INLINE void add(__m512i& sum, __m512i x, __m512i panel) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(panel));
  }
};

namespace tile {

// Indices into the sums are constants from the start (template arguments): those of an unrolled loop come too late for
// the compiler to keep the sums in registers.
template <int kCount>
using Indices = std::make_integer_sequence<int, kCount>;

template <int kCount, int... n>
DG_AVX512_INLINE void clear(__m512i (&sums)[kCount], std::integer_sequence<int, n...>) {
  ((sums[n] = _mm512_setzero_si512()), ...);
}

template <int kCount, int... n>
DG_AVX512_INLINE void load(__m512i (&panels)[kCount], const uint8_t* from, int64_t stride,
                           std::integer_sequence<int, n...>) {
  ((panels[n] = _mm512_loadu_si512(from + n * stride)), ...);
}

// To the sums of a row, of which `first` is the first.
template <typename Kind, int first, int kSums, int kCount, int... n>
DG_AVX512_INLINE void addRow(__m512i (&sums)[kSums], const uint8_t* x, const __m512i (&panels)[kCount],
                             std::integer_sequence<int, n...>) {
  int32_t group;
  std::memcpy(&group, x, sizeof group);
  const __m512i same = _mm512_set1_epi32(group);
  (Kind::add(sums[first + n], same, panels[n]), ...);
}

template <int first, typename Sum, int kSums, int... n>
DG_AVX512_INLINE void storeRow(Sum* to, const __m512i (&sums)[kSums], std::integer_sequence<int, n...>) {
  (_mm512_storeu_si512(to + n * kPanel, sums[first + n]), ...);
}

template <typename Kind, int kCount, int... r>
DG_AVX512_INLINE void sumUp(const uint8_t* x, int64_t rowBytes, const uint8_t* panels, int64_t groups,
                            typename Kind::Sum* out, int64_t outRow, std::integer_sequence<int, r...>) {
  constexpr int kSums = sizeof...(r) * kCount;
  __m512i sums[kSums];
  clear(sums, Indices<kSums>());
  for (int64_t i = 0; i < groups; ++i) {
    __m512i each[kCount];
    load(each, panels + i * kPanelBytes, groups * kPanelBytes, Indices<kCount>());
    (addRow<Kind, r * kCount>(sums, x + r * rowBytes + 4 * i, each, Indices<kCount>()), ...);
  }
  (storeRow<r * kCount>(out + r * outRow, sums, Indices<kCount>()), ...);
}

template <typename Kind, int kRows, int kCount>
DG_AVX512 void ofRows(const uint8_t* x, int64_t rowBytes, const uint8_t* panels, int64_t groups,
                      typename Kind::Sum* out, int64_t outRow) {
  sumUp<Kind, kCount>(x, rowBytes, panels, groups, out, outRow, Indices<kRows>());
}

template <typename Kind, int kCount>
DG_AVX512 void ofPanels(int64_t rows, const uint8_t* x, int64_t rowBytes, const uint8_t* panels, int64_t groups,
                        typename Kind::Sum* out, int64_t outRow) {
  switch (rows) {
    case 1:
      return ofRows<Kind, 1, kCount>(x, rowBytes, panels, groups, out, outRow);
    case 2:
      return ofRows<Kind, 2, kCount>(x, rowBytes, panels, groups, out, outRow);
    case 3:
      return ofRows<Kind, 3, kCount>(x, rowBytes, panels, groups, out, outRow);
    case 4:
      return ofRows<Kind, 4, kCount>(x, rowBytes, panels, groups, out, outRow);
    case 5:
      return ofRows<Kind, 5, kCount>(x, rowBytes, panels, groups, out, outRow);
    default:
      return ofRows<Kind, kTileRows, kCount>(x, rowBytes, panels, groups, out, outRow);
  }
}

}  // namespace tile

// The sums of `rows` rows (1 to kTileRows; rowBytes from one to the next) by `panels` panels (1 or kTilePanels) of
// `groups` groups: out[r · outRow + output].
template <typename Kind>
DG_AVX512 void sumTile(int64_t rows, const uint8_t* x, int64_t rowBytes, int64_t panels, const uint8_t* panel,
                       int64_t groups, typename Kind::Sum* out, int64_t outRow) {
  panels == kTilePanels ? tile::ofPanels<Kind, kTilePanels>(rows, x, rowBytes, panel, groups, out, outRow)
                        : tile::ofPanels<Kind, 1>(rows, x, rowBytes, panel, groups, out, outRow);
}

// The sums of `rows` rows by the panels from `panel` to `last`, a few panels after the other, each over all rows: they
// stay near the processor meanwhile. Calls finish(first row, rows, first output, panels, sums [rows, 16 · panels]).
template <typename Kind, typename Finish>
DG_AVX512_INLINE void sumTiles(int64_t rows, const uint8_t* x, int64_t rowBytes, int64_t panel, int64_t last,
                               const uint8_t* panels, int64_t groups, const Finish& finish) {
  alignas(64) typename Kind::Sum sums[kTileRows * kTilePanels * kPanel];
  while (panel < last) {
    const int64_t count = panel + kTilePanels <= last ? kTilePanels : 1;
    for (int64_t row = 0; row < rows; row += kTileRows) {
      const int64_t some = std::min<int64_t>(kTileRows, rows - row);
      sumTile<Kind>(some, x + row * rowBytes, rowBytes, count, panels + panel * groups * kPanelBytes, groups, sums,
                    count * kPanel);
      finish(row, some, panel * kPanel, count, sums);
    }
    panel += count;
  }
}

}  // namespace dg

#endif
