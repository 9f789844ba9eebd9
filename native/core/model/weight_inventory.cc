#include "native/core/model/weight_inventory.h"

#include <map>
#include <optional>
#include <string>
#include <unordered_set>

#include "native/core/graph/quantise.h"

namespace dg {
namespace {

// The block that a module's path is in; paths of blocks are no prefixes of each other.
class BlockPaths {
 public:
  explicit BlockPaths(const std::vector<Site>& sites) {
    for (const auto& site : sites) {
      if (site.block) blocks_[site.path] = *site.block;
    }
  }

  std::optional<int64_t> blockOf(const std::string& name) const {
    for (auto dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
      const auto block = blocks_.find(name.substr(0, dot));
      if (block != blocks_.end()) return block->second;
    }
    return std::nullopt;
  }

 private:
  std::map<std::string, int64_t> blocks_;
};

}  // namespace

WeightInventory weightInventory(const torch::jit::Module& module, const FlatModel& flat,
                                const std::vector<bool>& carriesTokens) {
  const BlockPaths paths(flat.sites);
  WeightInventory inventory;
  inventory.blocks.resize(flat.blocks);
  std::unordered_set<const void*> counted;
  const auto names = weightNames(module);
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
