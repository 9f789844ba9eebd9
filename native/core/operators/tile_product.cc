#include "native/core/operators/tile_product.h"

#include <algorithm>
#include <vector>

#include "native/core/operators/register_tile.h"
#include "native/core/operators/row_chunks.h"
#include "native/core/operators/share_pieces.h"
#include "native/core/operators/tile_kind.h"

namespace dg {

#if DG_HAS_AVX512
namespace {

// What becomes of the sums of a tile's rows. Not a part of what sums up, whose registers the compiler would share.
template <Activation kActivation, int kRows, typename Out>
DG_AVX512 __attribute__((noinline)) void finish(const TileProduct& p, int64_t row, int64_t output, int64_t panels,
                                                const float* sums, Out* out) {
  const ResidualRows<Out, kRows> residual(p.residual, row, p.outputs);
  for (int64_t n = 0; n < panels; ++n, sums += kPanel, output += kPanel) {
    const __mmask16 mask = lanes(p.outputs - output);
    const __m512 bias = p.bias == nullptr ? _mm512_setzero_ps() : loadLanes(mask, p.bias + output);
    Out* to = out + row * p.outputs + output;
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const __m512 sum = _mm512_add_ps(_mm512_loadu_ps(sums + r * panels * kPanel), bias);
      storeLanes(to + r * p.outputs, mask, residual.addedTo(activated<kActivation, Out>(sum), r, output, mask));
    }
  }
}

template <Activation kActivation, typename Out>
struct TileFinish {
  const TileProduct& product;
  Out* out;
  int64_t firstRow;
  DG_AVX512_INLINE void operator()(int64_t row, int64_t rows, int64_t output, int64_t panels, const float* sums) const {
    const int64_t first = firstRow + row;
    if (rows == kTileRows) return finish<kActivation, kTileRows>(product, first, output, panels, sums, out);
    for (int64_t r = 0; r < rows; ++r) {
      finish<kActivation, 1>(product, first + r, output, panels, sums + r * panels * kPanel, out);
    }
  }
};

// The outputs of panels first … last of some rows.
template <typename Kind, Activation kActivation, typename Out>
DG_AVX512 void part(const TileProduct& p, const ReadRows& x, int64_t row, int64_t rows, int64_t first, int64_t last,
                    Out* out) {
  const auto groups = p.inputs * static_cast<int64_t>(sizeof(at::BFloat16)) / kGroupBytes;
  sumTiles<Kind>(rows, x.first, x.rowBytes, first, last, static_cast<const uint8_t*>(p.panels), groups,
                 TileFinish<kActivation, Out>{p, out, row});
}

const at::BFloat16* modulatedIn(std::vector<at::BFloat16>& room, const TileProduct& p, int64_t row, int64_t rows) {
  room.resize(std::max<size_t>(room.size(), rows * p.inputs));
  for (int64_t i = 0; i < rows; ++i) p.modulated->write(room.data() + i * p.inputs, row + i);
  return room.data();
}

// What a thread makes of its rows before it multiplies them.
struct Room {
  std::vector<at::BFloat16> modulated;
  std::vector<float> widened;
};

// Threads share the rows; where these are few, the outputs.
template <typename Kind, typename Out>
void onAllThreads(const TileProduct& p, Out* out) {
  if (p.rows == 0) return;
  const int64_t atOnce = rowsAtOnce(p.rows), chunks = (p.rows + atOnce - 1) / atOnce;
  const int64_t threads = at::get_num_threads(), panels = panelsOf(p.outputs);
  const int64_t shares = chunks >= threads ? 1 : std::min(threads, (panels + kTilePanels - 1) / kTilePanels);
  const int64_t share = (panels + shares * kTilePanels - 1) / (shares * kTilePanels) * kTilePanels;
  withActivation(p.activation, [&](auto activation) {
    const auto piece = [&](int64_t each, Room& room) {
      const int64_t row = each % chunks * atOnce, rows = std::min(atOnce, p.rows - row);
      const int64_t first = each / chunks * share, last = std::min(first + share, panels);
      const auto* x = p.modulated == nullptr ? p.x + row * p.inputs : modulatedIn(room.modulated, p, row, rows);
      const auto read = asRead<Kind>(x, p.inputs, rows, p.inputs, room.widened);
      part<Kind, decltype(activation)::value>(p, read, row, rows, first, last, out);
    };
    sharePieces(shares * chunks, [] { return Room(); }, piece);
  });
}

template <typename Out>
void run(const TileProduct& product, Out* out) {
  withTileKind<at::BFloat16>([&](auto kind) { onAllThreads<decltype(kind)>(product, out); });
}

}  // namespace

bool hasTileProduct(int64_t inputs) { return hasOwnProduct(at::kBFloat16) && inputs % 2 == 0; }

void multiply(const TileProduct& product, at::BFloat16* out) { run(product, out); }
void multiply(const TileProduct& product, float* out) { run(product, out); }

#else

bool hasTileProduct(int64_t) { return false; }
void multiply(const TileProduct&, at::BFloat16*) {}
void multiply(const TileProduct&, float*) {}

#endif

}  // namespace dg
