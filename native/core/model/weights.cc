#include "native/core/model/weights.h"

#include <ATen/Context.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "native/core/cancellation.h"
#include "native/core/error.h"

namespace dg {

namespace {

// Whether a module is one of the blocks or in one.
bool isInBlock(const std::string& path, const std::vector<BlockPattern>& blocks) {
  for (size_t end = path.find('.');; end = path.find('.', end + 1)) {
    const auto prefix = path.substr(0, end);
    const auto names = [&](const BlockPattern& block) { return matches(block.path, prefix); };
    if (std::any_of(blocks.begin(), blocks.end(), names)) return true;
    if (end == std::string::npos) return false;
  }
}

}  // namespace

WeightsSize moveWeights(const torch::jit::Module& root, at::Device device, at::ScalarType dtype,
                        const std::vector<BlockPattern>& waiting) {
  struct Slot {
    c10::intrusive_ptr<c10::ivalue::Object> object;
    size_t index;
    bool waits;
  };
  WeightsSize size;
  std::unordered_map<const at::TensorImpl*, std::vector<Slot>> users;
  for (const auto& [path, module] : root.named_modules()) {
    const auto object = module._ivalue();
    const bool waits = !waiting.empty() && isInBlock(path, waiting);
    for (size_t index = 0; index < object->slots().size(); ++index) {
      const auto& value = object->slots()[index];
      if (value.isTensor() && value.toTensor().defined()) {
        users[value.toTensor().unsafeGetTensorImpl()].push_back({object, index, waits});
      }
    }
  }
  for (const auto& [impl, slots] : users) {
    requireNotCancelled();
    const auto& first = slots.front();
    const bool waits = std::all_of(slots.begin(), slots.end(), [](const Slot& slot) { return slot.waits; });
    at::Tensor moved;
    {
      const auto tensor = first.object->getSlot(first.index).toTensor();
      const auto target = tensor.is_floating_point() ? dtype : tensor.scalar_type();
      size.isCast = size.isCast || target != tensor.scalar_type();
      moved = tensor.detach().to(at::TensorOptions(waits ? at::Device(at::kCPU) : device).dtype(target));
    }
    size.parameters += first.object->type()->is_parameter(first.index) ? moved.numel() : 0;
    size.bytes += static_cast<int64_t>(moved.nbytes());
    if (waits && moved.has_storage()) size.waiting.insert(moved.storage().data());
    for (const auto& slot : slots) slot.object->setSlot(slot.index, moved);
  }
  return size;
}

void requireDevice(at::Device device) {
  if (!device.is_cuda()) return;
  if (!at::hasCUDA() || at::getNumGPUs() <= static_cast<size_t>(device.index())) {
    throw Error("DEVICE_UNAVAILABLE", "There is no device " + device.str() + ". Use 'cpu' or 'auto'.");
  }
}

}  // namespace dg
