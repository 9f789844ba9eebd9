#pragma once

#include "native/core/operators/avx512.h"
#include "native/core/operators/panels.h"

#if DG_HAS_AVX512
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace dg {

// A tile of a matrix product whose sums stay in registers. x has a row's numbers one after the other, the other factor
// lies in panels of 16 outputs, in a panel a group of four bytes (four 8 bit numbers, two of bfloat16 or one of
// float32) of each output side by side (panels.h).
//
// A kind says how a group's products are summed up: `Sum`; in `kParts` instructions, of which each takes a part of the
// group of the panel (`ofPanel`) and one of x (`ofX`, of which a row has `kXBytes` a group).

// 24 of the 32 registers hold sums; each number that is read is used four or six times.
constexpr int kTileRows = 6, kTilePanels = 4, kPanel = kPanelOutputs, kPanelBytes = kPanel * kGroupBytes;

// One instruction for the whole group, which x has in the same four bytes.
struct WholeGroups {
  static constexpr int kParts = 1, kXBytes = kGroupBytes;
  template <int part>
  static DG_AVX512_INLINE __m512i ofPanel(const uint8_t* panel) {
    return _mm512_loadu_si512(panel);
  }
  template <int part>
  static DG_AVX512_INLINE __m512i ofX(const uint8_t* x) {
    int32_t group;
    std::memcpy(&group, x, sizeof group);
    return _mm512_set1_epi32(group);
  }
};

struct Int8Kind : WholeGroups {
  using Sum = int32_t;
  static DG_AVX512_INLINE void add(__m512i& sum, __m512i x, __m512i panel) { sum = _mm512_dpbusd_epi32(sum, x, panel); }
};

// Only where hasBfloat16() says so.
struct Bfloat16Kind : WholeGroups {
  using Sum = float;
  static DG_AVX512_INLINE void add(__m512i& sum, __m512i x, __m512i panel) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(panel));
  }
};

struct Float32Kind : WholeGroups {
  using Sum = float;
  static DG_AVX512_INLINE void add(__m512i& sum, __m512i x, __m512i panel) {
    sum = _mm512_castps_si512(
        _mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(panel), _mm512_castsi512_ps(sum)));
  }
};

// bfloat16 by float32's instructions: the pair of a panel is widened in registers, x has been before.
struct WidenedKind {
  using Sum = float;
  static constexpr int kParts = 2, kXBytes = 2 * sizeof(float);
  template <int part>
  static DG_AVX512_INLINE __m512i ofPanel(const uint8_t* panel) {
    const __m512i pairs = _mm512_loadu_si512(panel);
    return part == 0 ? _mm512_slli_epi32(pairs, 16) : _mm512_and_si512(pairs, _mm512_set1_epi32(-65536));
  }
  template <int part>
  static DG_AVX512_INLINE __m512i ofX(const uint8_t* x) {
    return WholeGroups::ofX<0>(x + part * sizeof(float));
  }
  static DG_AVX512_INLINE void add(__m512i& sum, __m512i x, __m512i panel) { Float32Kind::add(sum, x, panel); }
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

template <typename Kind, int part, int kCount, int... n>
DG_AVX512_INLINE void load(__m512i (&panels)[kCount], const uint8_t* from, int64_t stride,
                           std::integer_sequence<int, n...>) {
  ((panels[n] = Kind::template ofPanel<part>(from + n * stride)), ...);
}

// To the sums of a row, of which `first` is the first.
template <typename Kind, int part, int first, int kSums, int kCount, int... n>
DG_AVX512_INLINE void addRow(__m512i (&sums)[kSums], const uint8_t* x, const __m512i (&panels)[kCount],
                             std::integer_sequence<int, n...>) {
  const __m512i same = Kind::template ofX<part>(x);
  (Kind::add(sums[first + n], same, panels[n]), ...);
}

template <typename Kind, int part, int kCount, int kSums, int... r>
DG_AVX512_INLINE void addPart(__m512i (&sums)[kSums], const uint8_t* x, int64_t rowBytes, const uint8_t* panels,
                              int64_t stride, std::integer_sequence<int, r...>) {
  __m512i each[kCount];
  load<Kind, part>(each, panels, stride, Indices<kCount>());
  (addRow<Kind, part, r * kCount>(sums, x + r * rowBytes, each, Indices<kCount>()), ...);
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
  const std::integer_sequence<int, r...> rows;
  for (int64_t i = 0; i < groups; ++i, x += Kind::kXBytes, panels += kPanelBytes) {
    addPart<Kind, 0, kCount>(sums, x, rowBytes, panels, groups * kPanelBytes, rows);
    if constexpr (Kind::kParts > 1) addPart<Kind, 1, kCount>(sums, x, rowBytes, panels, groups * kPanelBytes, rows);
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
