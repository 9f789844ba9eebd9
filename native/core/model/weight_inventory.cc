#include "native/core/model/weight_inventory.h"

#include <unordered_set>

#include "native/core/graph/quantise.h"

namespace dg {

WeightInventory weightInventory(const torch::jit::Module& module, const FlatModel& flat,
                                const std::vector<bool>& carriesTokens) {
  const BlockPaths paths(flat.sites);
  WeightInventory inventory;
  inventory.blocks.resize(flat.blocks);
  std::unordered_set<const void*> counted;
  const WeightNames names(module);
  for (const auto& layer : quantisableLayers(*flat.graph, flat.sites, names, carriesTokens)) {
    auto& block = inventory.blocks.at(paths.blockOf(layer.name).value());
    block.linear += layer.inputs * layer.outputs;
    block.outputs += layer.outputs;
    counted.insert(layer.weight);
  }
  for (const auto& named : module.named_attributes(/*recurse=*/true)) {
    if (!named.value.isTensor() || !named.value.toTensor().defined()) continue;
    const auto& tensor = named.value.toTensor();
    if (tensor.numel() == 0 || !counted.insert(tensor.const_data_ptr()).second) continue;
    if (!tensor.is_floating_point()) {
      inventory.integerBytes += static_cast<int64_t>(tensor.nbytes());
    } else if (const auto block = paths.blockOf(named.name)) {
      inventory.blocks.at(*block).others += tensor.numel();
    } else {
      inventory.others += tensor.numel();
    }
  }
  return inventory;
}

}  // namespace dg
