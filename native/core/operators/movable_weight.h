#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <torch/custom_class.h>

#include <vector>

namespace dg {

// A constant of a graph whose large tensors can be somewhere else than the rest of it.
class MovableWeight : public torch::CustomClassHolder {
 public:
  virtual std::vector<at::Tensor> tensors() const = 0;

  // The same weight on other copies of these tensors, in their order.
  virtual c10::IValue on(const std::vector<at::Tensor>& tensors) const = 0;
};

}  // namespace dg
