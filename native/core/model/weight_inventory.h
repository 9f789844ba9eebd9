#pragma once

#include <torch/script.h>

#include <cstdint>
#include <vector>

#include "native/core/graph/flatten.h"

namespace dg {

// How many weights there are and where, from which follows what a model takes in any precision: in numbers, whatever
// they are stored in.
struct BlockWeights {
  int64_t linear = 0;   // in linear layers that can be quantised (graph/quantise.h)
  int64_t outputs = 0;  // of those layers: as many scales there would be
  int64_t others = 0;   // floating ones
};

struct WeightInventory {
  std::vector<BlockWeights> blocks;
  int64_t others = 0;        // floating ones outside of blocks
  int64_t integerBytes = 0;  // of all that is not floating and is no weight of a linear layer
};

// Of a module whose flat graph has its weights as they are; tied ones count once. `carriesTokens`: see quantise.h.
WeightInventory weightInventory(const torch::jit::Module& module, const FlatModel& flat,
                                const std::vector<bool>& carriesTokens);

}  // namespace dg
