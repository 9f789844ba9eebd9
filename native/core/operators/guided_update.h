#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

namespace dg {

// The guided prediction Σ weights[i] · predictions[i] and the sampler's next state
// sample · x + outputs[0] · guided + Σ outputs[k + 1] · history[k], both float32. By libtorch's operators; native/cuda
// has a kernel.
std::tuple<at::Tensor, at::Tensor> guidedUpdate(at::TensorList predictions, at::ArrayRef<double> weights,
                                                const at::Tensor& x, at::TensorList history, double sample,
                                                at::ArrayRef<double> outputs);

}  // namespace dg
