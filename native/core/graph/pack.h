#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <memory>

namespace dg {

// Linear layers on the CPU with weights in the order in which a product reads them (operators/packed_linear.h).

// How many layers of a graph can be packed: their weight is a constant in float32 or bfloat16, read by linear layers
// alone.
int64_t countPackable(torch::jit::Graph& graph);

// Packs them, one weight after the other: each plain one is let go of before the next is packed, so that weights are
// never in memory twice. Throws c10::Error where this processor has no such product; the graph is then half packed.
void packLinears(torch::jit::Graph& graph);

// The graph as it was, to the last bit.
void unpackLinears(torch::jit::Graph& graph);

// Puts the activation behind a packed layer into its product, in a graph whose taps have been selected.
void fusePackedActivations(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace dg
