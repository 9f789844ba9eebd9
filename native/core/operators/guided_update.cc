#include "native/core/operators/guided_update.h"

#include <ATen/Functions.h>

namespace dg {

std::tuple<at::Tensor, at::Tensor> guidedUpdate(at::TensorList predictions, at::ArrayRef<double> weights,
                                                const at::Tensor& x, at::TensorList history, double sample,
                                                at::ArrayRef<double> outputs) {
  at::Tensor guided;
  for (size_t b = 0; b < predictions.size(); ++b) {
    const auto wide = predictions[b].to(at::kFloat);
    if (guided.defined()) {
      guided.add_(wide, weights[b]);
    } else {
      guided = wide * weights[b];
    }
  }
  auto next = x * sample;
  if (outputs[0] != 0) next.add_(guided, outputs[0]);
  for (size_t k = 0; k < history.size(); ++k) next.add_(history[k], outputs[k + 1]);
  return {guided, next};
}

}  // namespace dg
