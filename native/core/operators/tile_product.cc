#include "native/core/operators/tile_product.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "native/core/operators/register_tile.h"
#include "native/core/operators/row_chunks.h"
#include "native/core/operators/share_pieces.h"
#include "native/core/operators/tile_kind.h"

namespace dg {

#if DG_HAS_AVX512
namespace {

// What becomes of the sums of a tile's rows. Not a part of what sums up, whose registers the compiler would share.
template <Activation kActivation, int kRows, typename T, typename Out>
DG_AVX512 __attribute__((noinline)) void finish(const TileProduct<T>& p, int64_t row, int64_t output, int64_t panels,
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

template <Activation kActivation, typename T, typename Out>
struct TileFinish {
  const TileProduct<T>& product;
  Out* out;
  int64_t firstRow;
  template <int kRows>
  DG_AVX512_INLINE void rows(int64_t row, int64_t output, int64_t panels, const float* sums) const {
    finish<kActivation, kRows>(product, firstRow + row, output, panels, sums, out);
  }
};

// The outputs of panels first … last of some rows.
template <typename Kind, Activation kActivation, typename T, typename Out>
DG_AVX512 void part(const TileProduct<T>& p, const ReadRows& x, int64_t row, int64_t rows, int64_t first, int64_t last,
                    float* widened, Out* out) {
  const auto groups = p.inputs * static_cast<int64_t>(sizeof(T)) / kGroupBytes;
  sumTiles<Kind, T>(rows, x.first, x.rowBytes, first, last, static_cast<const uint8_t*>(p.panels), groups, widened,
                    TileFinish<kActivation, T, Out>{p, out, row});
}

template <typename T>
const T* modulatedIn(std::vector<T>& room, const TileProduct<T>& p, int64_t row, int64_t rows) {
  room.resize(std::max<size_t>(room.size(), rows * p.inputs));
  for (int64_t i = 0; i < rows; ++i) p.modulated->write(room.data() + i * p.inputs, row + i);
  return room.data();
}

// What a thread makes of its rows, and of panels, before it multiplies them.
template <typename T, bool kWidens>
struct Room {
  std::vector<T> modulated;
  std::vector<float> rows;
  std::unique_ptr<WidenedPanels> panels{kWidens ? new WidenedPanels : nullptr};
};

// Rows of a piece of work. Each piece reads its panels once, so that these are too few only where all rows are.
int64_t rowsOfPiece(int64_t rows) {
  constexpr int64_t kEnough = 96;
  if (rows >= kEnough * at::get_num_threads()) return rowsAtOnce(rows);
  const int64_t chunks = std::max<int64_t>(1, rows / kEnough);
  return (rows + chunks - 1) / chunks;
}

// Threads share the rows, and where these are too few the outputs as well.
template <typename Kind, typename T, typename Out>
void onAllThreads(const TileProduct<T>& p, Out* out) {
  if (p.rows == 0 || p.outputs == 0) return;
  const int64_t atOnce = rowsOfPiece(p.rows), chunks = (p.rows + atOnce - 1) / atOnce, panels = panelsOf(p.outputs);
  const int64_t wanted =
      std::min((at::get_num_threads() + chunks - 1) / chunks, (panels + kTilePanels - 1) / kTilePanels);
  const int64_t share = (panels + wanted * kTilePanels - 1) / (wanted * kTilePanels) * kTilePanels;
  const int64_t shares = (panels + share - 1) / share;
  using Own = Room<T, !std::is_same_v<typename Kind::Operand, T>>;
  withActivation(p.activation, [&](auto activation) {
    const auto piece = [&](int64_t each, Own& room) {
      const int64_t row = each % chunks * atOnce, rows = std::min(atOnce, p.rows - row);
      const int64_t first = each / chunks * share, last = std::min(first + share, panels);
      const T* x = p.modulated == nullptr ? p.x + row * p.inputs : modulatedIn(room.modulated, p, row, rows);
      const auto read = asRead<Kind>(x, p.inputs, rows, p.inputs, room.rows);
      part<Kind, decltype(activation)::value>(p, read, row, rows, first, last,
                                              room.panels ? room.panels->numbers : nullptr, out);
    };
    sharePieces(shares * chunks, [] { return Own(); }, piece);
  });
}

template <typename T, typename Out>
void run(const TileProduct<T>& product, Out* out) {
  withTileKind<T>([&](auto kind) { onAllThreads<decltype(kind)>(product, out); });
}

}  // namespace

bool hasTileProduct(at::ScalarType dtype, int64_t inputs) {
  return hasOwnProduct(dtype) && inputs * static_cast<int64_t>(c10::elementSize(dtype)) % kGroupBytes == 0;
}

void multiply(const TileProduct<float>& product, float* out) { run(product, out); }
void multiply(const TileProduct<at::BFloat16>& product, at::BFloat16* out) { run(product, out); }
void multiply(const TileProduct<at::BFloat16>& product, float* out) { run(product, out); }

#else

bool hasTileProduct(at::ScalarType, int64_t) { return false; }
void multiply(const TileProduct<float>&, float*) {}
void multiply(const TileProduct<at::BFloat16>&, at::BFloat16*) {}
void multiply(const TileProduct<at::BFloat16>&, float*) {}

#endif

}  // namespace dg
