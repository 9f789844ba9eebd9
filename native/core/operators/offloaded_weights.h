#pragma once

#include <ATen/core/ivalue.h>
#include <torch/custom_class.h>
#include <torch/library.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "native/core/device/block_offload.h"

namespace dg {

// Constants of a block that wait in host memory (device/block_offload.h): tensors and movable weights. A program has an
// operator for each of them in front of who reads it,
//   detail_guidance::offloaded(OffloadedWeights weights, int index) -> Any
// which gives it on the device. The first one of another block is what makes the blocks move on.
class OffloadedWeights : public torch::CustomClassHolder {
 public:
  OffloadedWeights(std::shared_ptr<BlockOffload> offload, std::vector<c10::IValue> constants);

  c10::IValue get(int64_t index) const;

  // Says what is read after these.
  void precede(const OffloadedWeights& next) { waiting_->next = next.waiting_; }

 private:
  std::shared_ptr<BlockOffload> offload_;
  std::shared_ptr<WaitingWeights> waiting_ = std::make_shared<WaitingWeights>();
  std::vector<c10::IValue> constants_;
  std::vector<size_t> first_;  // of each constant's tensors among those that wait
};

// The tensors of a constant that can wait in host memory; none where it is something else.
std::vector<at::Tensor> movableTensors(const c10::IValue& constant);

// The constant on other copies of these tensors.
c10::IValue movedConstant(const c10::IValue& constant, const std::vector<at::Tensor>& tensors);

// Adds class and operator to `library`.
void defineOffloadedWeights(torch::Library& library);

}  // namespace dg
