#include "native/core/model/weights.h"

#include <ATen/Context.h>

#include <unordered_map>
#include <vector>

#include "native/core/cancellation.h"
#include "native/core/error.h"

namespace dg {

WeightsSize moveWeights(const torch::jit::Module& root, at::Device device, at::ScalarType dtype) {
  struct Slot {
    c10::intrusive_ptr<c10::ivalue::Object> object;
    size_t index;
  };
  WeightsSize size;
  std::unordered_map<const at::TensorImpl*, std::vector<Slot>> users;
  for (const auto& module : root.modules()) {
    const auto object = module._ivalue();
    for (size_t index = 0; index < object->slots().size(); ++index) {
      const auto& value = object->slots()[index];
      if (value.isTensor() && value.toTensor().defined()) {
        users[value.toTensor().unsafeGetTensorImpl()].push_back({object, index});
      }
    }
  }
  for (const auto& [impl, slots] : users) {
    requireNotCancelled();
    const auto& first = slots.front();
    at::Tensor moved;
    {
      const auto tensor = first.object->getSlot(first.index).toTensor();
      const auto target = tensor.is_floating_point() ? dtype : tensor.scalar_type();
      moved = tensor.detach().to(at::TensorOptions(device).dtype(target));
    }
    size.parameters += first.object->type()->is_parameter(first.index) ? moved.numel() : 0;
    size.bytes += static_cast<int64_t>(moved.nbytes());
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
