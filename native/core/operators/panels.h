#pragma once

#include <cstdint>

namespace dg {

// A matrix [outputs, rowBytes of each] in the order in which register tiles read it (register_tile.h): panels of 16
// outputs, in a panel four bytes of an output side by side. What lies beyond the matrix's sides is 0.

constexpr int64_t kPanelOutputs = 16, kGroupBytes = 4;

// In whole groups.
constexpr int64_t paddedBytes(int64_t rowBytes) { return (rowBytes + kGroupBytes - 1) / kGroupBytes * kGroupBytes; }
constexpr int64_t panelsOf(int64_t outputs) { return (outputs + kPanelOutputs - 1) / kPanelOutputs; }
constexpr int64_t panelBytes(int64_t outputs, int64_t rowBytes) {
  return panelsOf(outputs) * kPanelOutputs * paddedBytes(rowBytes);
}

void packPanels(void* panels, const void* matrix, int64_t outputs, int64_t rowBytes);
void unpackPanels(void* matrix, const void* panels, int64_t outputs, int64_t rowBytes);

}  // namespace dg
