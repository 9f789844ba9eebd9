#include "native/core/operators/bfloat16_product.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "native/core/operators/bfloat16_way.h"
#include "native/core/operators/register_tile.h"
#include "native/core/operators/row_chunks.h"

namespace dg {

#if DG_HAS_AVX512
namespace {

// What becomes of the sums of a tile's rows. Not a part of what sums up, whose registers the compiler would share.
template <Activation kActivation, int kRows, typename T>
DG_AVX512 __attribute__((noinline)) void finish(const Bfloat16Product& p, int64_t row, int64_t output, int64_t panels,
                                                const float* sums, T* out) {
  const ResidualRows<T, kRows> residual(p.residual, row, p.outputs);
  for (int64_t n = 0; n < panels; ++n, sums += kPanel, output += kPanel) {
    const __mmask16 mask = lanes(p.outputs - output);
    const __m512 bias = p.bias == nullptr ? _mm512_setzero_ps() : loadLanes(mask, p.bias + output);
    T* to = out + row * p.outputs + output;
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const __m512 sum = _mm512_add_ps(_mm512_loadu_ps(sums + r * panels * kPanel), bias);
      storeLanes(to + r * p.outputs, mask, residual.addedTo(activated<kActivation, T>(sum), r, output, mask));
    }
  }
}

template <Activation kActivation, typename T>
struct Finish {
  const Bfloat16Product& product;
  T* out;
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
template <typename Kind, Activation kActivation, typename T>
DG_AVX512 void part(const Bfloat16Product& p, const ReadRows& x, int64_t row, int64_t rows, int64_t first, int64_t last,
                    T* out) {
  sumTiles<Kind>(rows, x.first, x.rowBytes, first, last, static_cast<const uint8_t*>(p.panels),
                 2 * p.inputs / kGroupBytes, Finish<kActivation, T>{p, out, row});
}

// Threads share the rows; where these are few, the outputs.
template <typename Kind, typename T>
void onAllThreads(const Bfloat16Product& p, T* out) {
  if (p.rows == 0) return;
  const int64_t atOnce = rowsAtOnce(p.rows), chunks = (p.rows + atOnce - 1) / atOnce;
  const int64_t threads = at::get_num_threads(), panels = panelsOf(p.outputs);
  const int64_t shares = chunks >= threads ? 1 : std::min(threads, (panels + kTilePanels - 1) / kTilePanels);
  const int64_t share = (panels + shares * kTilePanels - 1) / (shares * kTilePanels) * kTilePanels;
  withActivation(p.activation, [&](auto activation) {
    at::parallel_for(0, shares * chunks, 1, [&](int64_t begin, int64_t end) {
      std::vector<at::BFloat16> made(p.modulated == nullptr ? 0 : atOnce * p.inputs);
      std::vector<float> widened;
      for (int64_t each = begin; each < end; ++each) {
        const int64_t row = each % chunks * atOnce, rows = std::min(atOnce, p.rows - row);
        const int64_t first = each / chunks * share, last = std::min(first + share, panels);
        for (int64_t i = 0; p.modulated != nullptr && i < rows; ++i) {
          p.modulated->write(made.data() + i * p.inputs, row + i);
        }
        const auto* x = p.modulated == nullptr ? p.x + row * p.inputs : made.data();
        const auto read = asRead<Kind>(x, p.inputs, rows, p.inputs, widened);
        part<Kind, decltype(activation)::value>(p, read, row, rows, first, last, out);
      }
    });
  });
}

}  // namespace

bool hasBfloat16Product(int64_t inputs) { return hasOwnBfloat16() && inputs % 2 == 0; }

void multiply(const Bfloat16Product& product, at::BFloat16* out) {
  withBfloat16Kind([&](auto kind) { onAllThreads<decltype(kind)>(product, out); });
}

void multiply(const Bfloat16Product& product, float* out) {
  withBfloat16Kind([&](auto kind) { onAllThreads<decltype(kind)>(product, out); });
}

#else

bool hasBfloat16Product(int64_t) { return false; }
void multiply(const Bfloat16Product&, at::BFloat16*) {}
void multiply(const Bfloat16Product&, float*) {}

#endif

}  // namespace dg
