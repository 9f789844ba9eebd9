#pragma once

#include <cstdint>

namespace dg {

// A matrix [outputs, rowBytes of each] in the order in which register tiles read it (register_tile.h), from its first
// byte to its last: outputs are in panels of 16, in which a group of four bytes of each lies side by side; of four
// panels each such group of 16 lies side by side too. Panels that are left over stand one after the other. What lies
// beyond the matrix's sides is 0.

constexpr int64_t kPanelOutputs = 16, kGroupBytes = 4, kPanelBytes = kPanelOutputs * kGroupBytes, kTilePanels = 4;

// In whole groups.
constexpr int64_t paddedBytes(int64_t rowBytes) { return (rowBytes + kGroupBytes - 1) / kGroupBytes * kGroupBytes; }
constexpr int64_t panelsOf(int64_t outputs) { return (outputs + kPanelOutputs - 1) / kPanelOutputs; }
constexpr int64_t panelBytes(int64_t outputs, int64_t rowBytes) {
  return panelsOf(outputs) * kPanelOutputs * paddedBytes(rowBytes);
}

// Panels that lie side by side from this one, the first of them: kTilePanels, or 1 of those that are left over.
constexpr int64_t panelsBeside(int64_t panel, int64_t panels) {
  return panel + kTilePanels <= panels ? kTilePanels : 1;
}

// Where the groups of an output are: bytes to the first, and from one to the next.
struct GroupPlaces {
  int64_t first, step;
};
constexpr GroupPlaces groupPlaces(int64_t output, int64_t outputs, int64_t rowBytes) {
  const int64_t panel = output / kPanelOutputs, block = panel - panel % kTilePanels;
  const int64_t beside = panelsBeside(block, panelsOf(outputs));
  const int64_t firstBeside = beside == 1 ? panel : block;
  const int64_t lane = (panel - firstBeside) * kPanelBytes + output % kPanelOutputs * kGroupBytes;
  return {firstBeside * kPanelOutputs * paddedBytes(rowBytes) + lane, beside * kPanelBytes};
}

void packPanels(void* panels, const void* matrix, int64_t outputs, int64_t rowBytes);
void unpackPanels(void* matrix, const void* panels, int64_t outputs, int64_t rowBytes);

}  // namespace dg
