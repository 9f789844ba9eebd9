#include "native/core/operators/int8_product.h"

#include <algorithm>

#include "native/core/operators/avx512.h"
#include "native/core/operators/gelu.h"
#include "native/core/operators/register_tile.h"
#include "native/core/operators/rounding.h"

namespace dg {
namespace {

constexpr int64_t kGroup = 4;
#if !DG_HAS_AVX512
constexpr int64_t kPanel = 16;
#endif

constexpr int64_t paddedOf(int64_t inputs) { return (inputs + kGroup - 1) / kGroup * kGroup; }

template <typename T>
T activated(float value, Activation activation) {
  const T plain = rounded<T>(value);
  if (activation == Activation::none) return plain;
  return rounded<T>(activation == Activation::geluTanh ? geluOf(widen(plain)) : siluOf(widen(plain)));
}

int8_t weightIn(const int8_t* panels, int64_t padded, int64_t output, int64_t input) {
  const int8_t* panel = panels + output / kPanel * padded * kPanel;
  return panel[(input / kGroup * kPanel + output % kPanel) * kGroup + input % kGroup];
}

template <typename T>
void plainly(const Int8Product& p, T* out) {
  const int64_t padded = paddedOf(p.inputs);
  for (int64_t row = 0; row < p.rows; ++row) {
    for (int64_t output = 0; output < p.outputs; ++output) {
      int32_t sum = 0;
      for (int64_t input = 0; input < p.inputs; ++input) {
        sum += (static_cast<int32_t>(p.x[row * padded + input]) - p.zeroPoints[row]) *
               weightIn(p.panels, padded, output, input);
      }
      float value = static_cast<float>(sum) * (p.steps[row] * p.scales[output]);
      if (p.bias != nullptr) value += p.bias[output];
      for (int64_t k = 0; k < p.keptCount; ++k) {
        value += p.kept[row * p.keptCount + k] * p.columns[k * p.outputs + output];
      }
      out[row * p.outputs + output] = activated<T>(value, p.activation);
    }
  }
}

#if DG_HAS_AVX512

template <Activation kActivation, typename T>
DG_AVX512_INLINE __m512 activated(__m512 value) {
  const T* as = nullptr;
  if constexpr (kActivation == Activation::none) return value;
  if constexpr (kActivation == Activation::geluTanh) return geluOf(roundedAs(as, value));
  return siluOf(roundedAs(as, value));
}

// What becomes of the sums of a tile. Not a part of what sums up, whose registers the compiler would share.
template <Activation kActivation, typename T>
DG_AVX512 __attribute__((noinline)) void finish(const Int8Product& p, int64_t row, int64_t rows, int64_t output,
                                                int64_t panels, const int32_t* sums, T* out) {
  for (int64_t n = 0; n < panels; ++n, output += kPanel) {
    const __mmask16 mask = lanes(p.outputs - output);
    const __m512i weightSums = _mm512_maskz_loadu_epi32(mask, p.sums + output);
    const __m512 scales = loadLanes(mask, p.scales + output);
    const __m512 bias = p.bias == nullptr ? _mm512_setzero_ps() : loadLanes(mask, p.bias + output);
    for (int64_t r = 0; r < rows; ++r) {
      const __m512i shift = _mm512_mullo_epi32(_mm512_set1_epi32(p.zeroPoints[row + r]), weightSums);
      const __m512i sum = _mm512_sub_epi32(_mm512_loadu_si512(sums + (r * panels + n) * kPanel), shift);
      const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(p.steps[row + r]), scales);
      __m512 value = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale), bias);
      for (int64_t k = 0; k < p.keptCount; ++k) {
        const __m512 column = loadLanes(mask, p.columns + k * p.outputs + output);
        value = _mm512_add_ps(value, _mm512_mul_ps(_mm512_set1_ps(p.kept[(row + r) * p.keptCount + k]), column));
      }
      storeLanes(out + (row + r) * p.outputs + output, mask, activated<kActivation, T>(value));
    }
  }
}

// Panels one group after the other, each over all rows: a group stays in the first cache meanwhile.
template <Activation kActivation, typename T>
void byVnni(const Int8Product& p, T* out) {
  const int64_t padded = paddedOf(p.inputs), allPanels = (p.outputs + kPanel - 1) / kPanel;
  alignas(64) int32_t sums[kTileRows * kTilePanels * kPanel];
  for (int64_t panel = 0; panel < allPanels;) {
    const int64_t panels = panel + kTilePanels <= allPanels ? kTilePanels : 1;
    const auto* weight = reinterpret_cast<const uint8_t*>(p.panels) + panel * kPanel * padded;
    for (int64_t row = 0; row < p.rows; row += kTileRows) {
      const int64_t rows = std::min<int64_t>(kTileRows, p.rows - row);
      sumTile<Int8Kind>(rows, p.x + row * padded, padded, panels, weight, padded / kGroup, sums, panels * kPanel);
      finish<kActivation>(p, row, rows, panel * kPanel, panels, sums, out);
    }
    panel += panels;
  }
}

#endif

template <typename T>
void fastest(const Int8Product& p, T* out) {
#if DG_HAS_AVX512
  if (hasVnni()) {
    if (p.activation == Activation::none) return byVnni<Activation::none>(p, out);
    if (p.activation == Activation::geluTanh) return byVnni<Activation::geluTanh>(p, out);
    return byVnni<Activation::swish>(p, out);
  }
#endif
  plainly(p, out);
}

}  // namespace

int64_t paddedInputs(int64_t inputs) { return paddedOf(inputs); }

int64_t panelBytes(int64_t outputs, int64_t inputs) {
  return (outputs + kPanel - 1) / kPanel * kPanel * paddedOf(inputs);
}

void packPanels(int8_t* panels, const int8_t* weight, int64_t outputs, int64_t inputs) {
  const int64_t padded = paddedOf(inputs);
  std::fill_n(panels, panelBytes(outputs, inputs), int8_t{0});
  for (int64_t output = 0; output < outputs; ++output) {
    int8_t* lane = panels + output / kPanel * padded * kPanel + output % kPanel * kGroup;
    for (int64_t first = 0; first < inputs; first += kGroup) {
      std::copy_n(weight + output * inputs + first, std::min(kGroup, inputs - first), lane + first * kPanel);
    }
  }
}

void multiply(const Int8Product& product, float* out) { fastest(product, out); }
void multiply(const Int8Product& product, at::BFloat16* out) { fastest(product, out); }
void multiplyPlainly(const Int8Product& product, float* out) { plainly(product, out); }
void multiplyPlainly(const Int8Product& product, at::BFloat16* out) { plainly(product, out); }

}  // namespace dg
