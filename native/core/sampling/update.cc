#include "native/core/sampling/update.h"

#include <ATen/Functions.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>

namespace dg {

Update guideAndAdvance(const std::vector<at::Tensor>& predictions, const Step& step, const at::Tensor& x,
                       const std::deque<at::Tensor>& history) {
  static const auto update =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("detail_guidance::guided_update", "")
          .typed<std::tuple<at::Tensor, at::Tensor>(at::TensorList, at::ArrayRef<double>, const at::Tensor&,
                                                    at::TensorList, double, at::ArrayRef<double>)>();
  std::vector<at::Tensor> present, past;
  std::vector<double> weights, outputs{step.outputs.empty() ? 0 : step.outputs[0]};
  for (size_t b = 0; b < predictions.size(); ++b) {
    if (!predictions[b].defined() || step.weights[b] == 0) continue;
    present.push_back(predictions[b]);
    weights.push_back(step.weights[b]);
  }
  for (size_t k = 1; k < step.outputs.size(); ++k) {
    if (step.outputs[k] == 0) continue;
    past.push_back(history.at(k - 1));
    outputs.push_back(step.outputs[k]);
  }
  auto [guided, next] = update.call(present, weights, x, past, step.sample, outputs);
  return {guided, next};
}

}  // namespace dg
