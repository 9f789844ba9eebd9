#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <memory>
#include <unordered_set>
#include <vector>

#include "native/core/device/block_offload.h"
#include "native/core/graph/site.h"

namespace dg {

// Blocks whose weights wait in host memory and are brought to the device in turn (device/block_offload.h).

// Memory of weights that were left on the host when the others were moved to the device.
using HostStorages = std::unordered_set<const void*>;

// Whether a tensor lies in one of them.
bool isIn(const HostStorages& storages, const at::Tensor& tensor);

// What waits in host memory.
struct OffloadedBlocks {
  int64_t blocks = 0;   // that have weights of their own
  int64_t bytes = 0;    // of their weights
  int64_t largest = 0;  // bytes of the block with the most
};

// Marks the constants that the nodes of one block alone read, and puts them into pinned host memory where `device` is
// another; what several blocks or others read is moved to the device. The graph has all its taps. Throws BAD_OPTION
// where no block has weights of its own.
OffloadedBlocks offloadBlocks(torch::jit::Graph& graph, const std::vector<Site>& sites, at::Device device,
                              const HostStorages& storages, const std::shared_ptr<BlockOffload>& offload);

// The mark of a constant goes to the one that takes its place.
void keepOffloadMark(const torch::jit::Node* from, torch::jit::Node* to);

// Puts operators in the place of marked constants that give them when the program comes to their block
// (operators/offloaded_weights.h). Among the last things that are done to a graph: passes would move them.
void bringOffloaded(torch::jit::Graph& graph);

// Adds what marks a constant to `library`.
void defineOffloadMark(torch::Library& library);

}  // namespace dg
