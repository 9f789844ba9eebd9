#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace dg {

// Looks at every step whether the predictions of the branches are finite, without making the thread wait for the
// device: what is not on the CPU is known a step later, when it is there anyway (Pace).
class FiniteWatch {
 public:
  // What a step was given, to find out more if it turns out bad.
  struct Observation {
    int64_t step = 0;
    at::Tensor latents;     // the latents that the model was given
    at::Tensor magnitudes;  // float32 on the CPU: max |D| per branch that was evaluated, not finite where that is not
    std::vector<int64_t> branches;
  };
  struct Finding {
    Observation observation;
    int64_t branch;  // the first that is not finite
  };

  // After the predictions of a step (undefined: not evaluated) were asked for.
  void look(int64_t step, const at::Tensor& latents, const std::vector<at::Tensor>& predictions);

  // The first step that was not finite, among those that the device has finished. `all`: everything has been waited
  // for.
  std::optional<Finding> find(bool all);

 private:
  std::vector<Observation> waiting_;  // at most two
};

}  // namespace dg
