#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "native/core/graph/program.h"
#include "native/core/model/weights.h"

namespace dg {

// A TorchScript file as a function of tensors: text encoders, VAE encoders and decoders, classifiers. No sites, no
// hooks. Used by one thread at a time.
class Component {
 public:
  struct Options {
    std::string file;
    at::Device device = at::kCPU;
    at::ScalarType dtype = at::kFloat;  // of floating-point weights and activations
    bool allowAllOperators = false;
    double firstEvaluationLimit = 600;  // see LoadOptions (model.h)
    std::string identity;               // of the file, see archive/file.h
  };

  // Throws MODEL_UNREADABLE, OPERATOR_REFUSED, DEVICE_UNAVAILABLE, OUT_OF_MEMORY.
  static std::unique_ptr<Component> load(const Options& options);

  // `inputs` in the order of forward(); floating ones are cast to the component's dtype. The tensors of the result on
  // the CPU: tuples, lists and dictionaries flattened in order, None left out.
  // Throws BAD_TENSOR for another number of inputs, MODEL_FAILED, OUT_OF_MEMORY.
  std::vector<at::Tensor> run(const std::vector<at::Tensor>& inputs) const;

  at::Device device() const { return options_.device; }
  at::ScalarType dtype() const { return options_.dtype; }
  const WeightsSize& size() const { return size_; }

 private:
  Options options_;
  WeightsSize size_;
  size_t arity_ = 0;
  mutable bool evaluated_ = false;                     // by its one thread
  std::shared_ptr<torch::jit::CompilationUnit> code_;  // see FlatModel
  std::unique_ptr<Program> program_;
};

}  // namespace dg
