#pragma once

#include "native/core/operators/avx512.h"
#include "native/core/operators/panels.h"
#include "native/core/operators/row_chunks.h"

#if DG_HAS_AVX512
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace dg {

// A tile of a matrix product whose sums stay in registers. x has a row's numbers one after the other, the other factor
// lies in panels of 16 outputs (panels.h), of which a group of four bytes has four 8 bit numbers, two of bfloat16 or
// one of float32.
//
// A kind says how the products of a group, which both factors have in the same four bytes, are added to a `Sum`, in one
// instruction; `Operand` is the type of the panels' numbers.

// 24 of the 32 registers hold sums; each number that is read is used four or six times.
constexpr int kTileRows = 6, kPanel = kPanelOutputs;

struct Int8Kind {
  using Operand = int8_t;
  using Sum = int32_t;
  static DG_AVX512_INLINE void add(__m512i& sum, __m512i x, __m512i panel) { sum = _mm512_dpbusd_epi32(sum, x, panel); }
};

// Only where hasBfloat16() says so.
struct Bfloat16Kind {
  using Operand = at::BFloat16;
  using Sum = float;
  static DG_AVX512_INLINE void add(__m512i& sum, __m512i x, __m512i panel) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(panel));
  }
};

struct Float32Kind {
  using Operand = float;
  using Sum = float;
  static DG_AVX512_INLINE void add(__m512i& sum, __m512i x, __m512i panel) {
    sum = _mm512_castps_si512(
        _mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(panel), _mm512_castsi512_ps(sum)));
  }
};

// Groups that a tile adds to its sums.
struct TilePart {
  const uint8_t* x;
  int64_t rowBytes;       // from one row to the next
  const uint8_t* panels;  // side by side
  int64_t groups;
  bool goesOn;  // the sums are there from the groups before
  // What is read after this is brought near meanwhile, so many bytes further with each group.
  const uint8_t* next;
  int64_t nextStep;
};

// So many groups of kTilePanels panels take 192 KB of the second cache, those of a tile's rows fit into the first.
constexpr int64_t kGroupsAtOnce = 768;

// From the second cache to the first so many groups ahead.
constexpr int64_t kGroupsAhead = 8;

// A locality of __builtin_prefetch.
constexpr int kIntoSecondCache = 2;

namespace tile {

// Indices into the sums are constants from the start (template arguments): those of an unrolled loop come too late for
// the compiler to keep the sums in registers.
template <int kCount>
using Indices = std::make_integer_sequence<int, kCount>;

template <int kCount, int... n>
DG_AVX512_INLINE void clear(__m512i (&sums)[kCount], std::integer_sequence<int, n...>) {
  ((sums[n] = _mm512_setzero_si512()), ...);
}

template <int... n>
DG_AVX512_INLINE void fetchAhead(const uint8_t* panels, std::integer_sequence<int, n...>) {
  (__builtin_prefetch(panels + (kGroupsAhead * sizeof...(n) + n) * kPanelBytes), ...);
}

template <int kCount, int... n>
DG_AVX512_INLINE void load(__m512i (&panels)[kCount], const uint8_t* from, std::integer_sequence<int, n...>) {
  ((panels[n] = _mm512_loadu_si512(from + n * kPanelBytes)), ...);
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

template <typename Kind, int kCount, int kSums, int... r>
DG_AVX512_INLINE void addGroup(__m512i (&sums)[kSums], const uint8_t* x, int64_t rowBytes, const uint8_t* panels,
                               std::integer_sequence<int, r...>) {
  __m512i each[kCount];
  load(each, panels, Indices<kCount>());
  (addRow<Kind, r * kCount>(sums, x + r * rowBytes, each, Indices<kCount>()), ...);
}

template <int first, typename Sum, int kSums, int... n>
DG_AVX512_INLINE void loadRow(__m512i (&sums)[kSums], const Sum* from, std::integer_sequence<int, n...>) {
  ((sums[first + n] = _mm512_loadu_si512(from + n * kPanel)), ...);
}

template <int first, typename Sum, int kSums, int... n>
DG_AVX512_INLINE void storeRow(Sum* to, const __m512i (&sums)[kSums], std::integer_sequence<int, n...>) {
  (_mm512_storeu_si512(to + n * kPanel, sums[first + n]), ...);
}

template <typename Kind, int kCount, int... r>
DG_AVX512_INLINE void sumUp(const TilePart& part, typename Kind::Sum* out, int64_t outRow,
                            std::integer_sequence<int, r...>) {
  constexpr int kSums = sizeof...(r) * kCount;
  __m512i sums[kSums];
  if (part.goesOn) {
    (loadRow<r * kCount>(sums, out + r * outRow, Indices<kCount>()), ...);
  } else {
    clear(sums, Indices<kSums>());
  }
  const std::integer_sequence<int, r...> rows;
  const uint8_t *x = part.x, *panels = part.panels, *next = part.next;
  for (int64_t i = 0; i < part.groups; ++i) {
    fetchAhead(panels, Indices<kCount>());
    __builtin_prefetch(next, 0, kIntoSecondCache);
    addGroup<Kind, kCount>(sums, x, part.rowBytes, panels, rows);
    x += kGroupBytes;
    panels += kCount * kPanelBytes;
    next += part.nextStep;
  }
  (storeRow<r * kCount>(out + r * outRow, sums, Indices<kCount>()), ...);
}

template <typename Kind, int kRows, int kCount>
DG_AVX512 void ofRows(const TilePart& part, typename Kind::Sum* out, int64_t outRow) {
  sumUp<Kind, kCount>(part, out, outRow, Indices<kRows>());
}

template <typename Kind, int kCount>
DG_AVX512 void ofPanels(int64_t rows, const TilePart& part, typename Kind::Sum* out, int64_t outRow) {
  switch (rows) {
    case 1:
      return ofRows<Kind, 1, kCount>(part, out, outRow);
    case 2:
      return ofRows<Kind, 2, kCount>(part, out, outRow);
    case 3:
      return ofRows<Kind, 3, kCount>(part, out, outRow);
    case 4:
      return ofRows<Kind, 4, kCount>(part, out, outRow);
    case 5:
      return ofRows<Kind, 5, kCount>(part, out, outRow);
    default:
      return ofRows<Kind, kTileRows, kCount>(part, out, outRow);
  }
}

template <typename Finish, typename Sum>
DG_AVX512_INLINE void finishRows(const Finish& finish, int64_t row, int64_t rows, int64_t output, int64_t panels,
                                 const Sum* sums) {
  if (rows == kTileRows) return finish.template rows<kTileRows>(row, output, panels, sums);
  for (int64_t r = 0; r < rows; ++r) finish.template rows<1>(row + r, output, panels, sums + r * panels * kPanel);
}

}  // namespace tile

// The sums of `rows` rows (1 to kTileRows) by `panels` panels (1 or kTilePanels): out[r · outRow + output].
template <typename Kind>
DG_AVX512 void sumTile(int64_t rows, int64_t panels, const TilePart& part, typename Kind::Sum* out, int64_t outRow) {
  panels == kTilePanels ? tile::ofPanels<Kind, kTilePanels>(rows, part, out, outRow)
                        : tile::ofPanels<Kind, 1>(rows, part, out, outRow);
}

// What panels of another type than a kind's operand become for it, some groups after the other.
struct alignas(64) WidenedPanels {
  float numbers[kGroupsAtOnce * kTilePanels * kPanel];
};

// The first `groups` groups of `beside` panels of pairs as float32, a group for each number.
void widenPanels(float* to, const uint8_t* from, int64_t groups, int64_t beside);

// The sums of `rows` rows (at most kMostRowsAtOnce) of the kind's operand by the panels from `panel` to `last`, a few
// panels after the other, and of these some groups after the other, each over all rows: they stay near the processor
// meanwhile. `panel` is a multiple of kTilePanels, and so is `last` where it is not that of the matrix. `groups`: of
// the panels, whose numbers are Stored; `widened`: room for WidenedPanels, where that is not the operand. Calls
// finish.template rows<kRows>(first row, first output, panels, sums [kRows, 16 · panels]) for kTileRows rows or one.
template <typename Kind, typename Stored, typename Finish>
DG_AVX512_INLINE void sumTiles(int64_t rows, const uint8_t* x, int64_t rowBytes, int64_t panel, int64_t last,
                               const uint8_t* panels, int64_t groups, float* widened, const Finish& finish) {
  constexpr int64_t kWider = sizeof(typename Kind::Operand) / sizeof(Stored), kAtOnce = kGroupsAtOnce / kWider;
  alignas(64) typename Kind::Sum sums[kMostRowsAtOnce * kTilePanels * kPanel];
  const int64_t parts = std::max<int64_t>(1, (groups + kAtOnce - 1) / kAtOnce);
  const int64_t each = (groups + parts - 1) / parts, tiles = (rows + kTileRows - 1) / kTileRows;
  for (int64_t beside; panel < last; panel += beside) {
    beside = panelsBeside(panel, last);
    const int64_t bytes = beside * kPanelBytes;
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t first = part * each, some = std::min(each, groups - first);
      const uint8_t* stored = panels + panel * groups * kPanelBytes + first * bytes;
      TilePart tile{.x = x + first * kWider * kGroupBytes,
                    .rowBytes = rowBytes,
                    .panels = stored,
                    .groups = some * kWider,
                    .goesOn = part > 0,
                    .next = stored + some * bytes,
                    .nextStep = bytes / tiles / kWider};
      if constexpr (kWider > 1) {
        widenPanels(widened, stored, some, beside);
        tile.panels = reinterpret_cast<const uint8_t*>(widened);
      }
      for (int64_t row = 0; row < rows; row += kTileRows) {
        const int64_t count = std::min<int64_t>(kTileRows, rows - row);
        auto* to = sums + (parts == 1 ? 0 : row * beside * kPanel);
        sumTile<Kind>(count, beside, tile, to, beside * kPanel);
        if (part == parts - 1) tile::finishRows(finish, row, count, panel * kPanel, beside, to);
        tile.x += kTileRows * rowBytes;
        tile.next += some * bytes / tiles;
      }
    }
  }
}

}  // namespace dg

#endif
