#include "native/core/operators/offloaded_weights.h"

#include <utility>

#include "native/core/operators/movable_weight.h"

namespace dg {
namespace {

// An object of a class of C++ is a capsule in the only slot of its wrapper.
const MovableWeight* movableIn(const c10::IValue& constant) {
  if (!constant.isCustomClass()) return nullptr;
  const auto& holder = constant.toObjectRef().getSlot(0);
  return dynamic_cast<const MovableWeight*>(holder.toCapsule().get());
}

void offloaded(const c10::OperatorHandle&, torch::jit::Stack* stack) {
  const auto index = torch::jit::pop(*stack).toInt();
  const auto weights = torch::jit::pop(*stack).toCustomClass<OffloadedWeights>();
  stack->push_back(weights->get(index));
}

}  // namespace

OffloadedWeights::OffloadedWeights(std::shared_ptr<BlockOffload> offload, std::vector<c10::IValue> constants)
    : offload_(std::move(offload)), constants_(std::move(constants)) {
  for (const auto& constant : constants_) {
    first_.push_back(waiting_->host.size());
    for (auto& tensor : movableTensors(constant)) waiting_->host.push_back(std::move(tensor));
  }
}

c10::IValue OffloadedWeights::get(int64_t index) const {
  const auto& brought = offload_->bring(waiting_);
  const auto& constant = constants_.at(index);
  const auto begin = brought.begin() + static_cast<int64_t>(first_[index]);
  const auto isLast = static_cast<size_t>(index) + 1 == first_.size();
  const auto end = isLast ? brought.end() : brought.begin() + static_cast<int64_t>(first_[index + 1]);
  return movedConstant(constant, {begin, end});
}

std::vector<at::Tensor> movableTensors(const c10::IValue& constant) {
  if (constant.isTensor()) return {constant.toTensor()};
  const auto* weight = movableIn(constant);
  return weight == nullptr ? std::vector<at::Tensor>() : weight->tensors();
}

c10::IValue movedConstant(const c10::IValue& constant, const std::vector<at::Tensor>& tensors) {
  return constant.isTensor() ? c10::IValue(tensors.at(0)) : movableIn(constant)->on(tensors);
}

void defineOffloadedWeights(torch::Library& library) {
  library.class_<OffloadedWeights>("OffloadedWeights");
  library.def("offloaded(__torch__.torch.classes.detail_guidance.OffloadedWeights weights, int index) -> Any",
              torch::CppFunction::makeFromBoxedFunction<&offloaded>());
}

}  // namespace dg
