#include "native/core/operators/panels.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>

namespace dg {
namespace {

// Calls move(offset in panels, offset in the matrix, bytes) for every group.
template <typename Move>
void overGroups(int64_t outputs, int64_t rowBytes, Move move) {
  const int64_t whole = rowBytes / kGroupBytes * kGroupBytes;
  at::parallel_for(0, outputs, kPanelOutputs, [&](int64_t begin, int64_t end) {
    for (int64_t output = begin; output < end; ++output) {
      auto [place, step] = groupPlaces(output, outputs, rowBytes);
      for (int64_t first = 0; first < whole; first += kGroupBytes, place += step) {
        move(place, output * rowBytes + first, kGroupBytes);
      }
      if (whole < rowBytes) move(place, output * rowBytes + whole, rowBytes - whole);
    }
  });
}

}  // namespace

void packPanels(void* panels, const void* matrix, int64_t outputs, int64_t rowBytes) {
  auto* to = static_cast<uint8_t*>(panels);
  const auto* from = static_cast<const uint8_t*>(matrix);
  std::fill_n(to, panelBytes(outputs, rowBytes), uint8_t{0});
  overGroups(outputs, rowBytes, [&](int64_t inPanels, int64_t inMatrix, int64_t bytes) {
    std::memcpy(to + inPanels, from + inMatrix, bytes);
  });
}

void unpackPanels(void* matrix, const void* panels, int64_t outputs, int64_t rowBytes) {
  auto* to = static_cast<uint8_t*>(matrix);
  const auto* from = static_cast<const uint8_t*>(panels);
  overGroups(outputs, rowBytes, [&](int64_t inPanels, int64_t inMatrix, int64_t bytes) {
    std::memcpy(to + inMatrix, from + inPanels, bytes);
  });
}

}  // namespace dg
