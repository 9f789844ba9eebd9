#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "native/core/graph/program.h"

namespace dg {

// Which rewritings of a model's graph are used, after a comparison with the graph as it is.
struct FusionChoice {
  Fusions fusions;
  std::string finding;  // which kinds are not used, and why; empty: all are
  bool isFinal = true;  // for any input; false: of this one no result is finite, so that nothing was compared
};

// A kind that needs no comparison: on the CPU in float32 it rounds where the separate operators do. With an own product
// comes a LayerNorm of our own (layer_norm.h).
bool isExact(const std::string& kind);

// Runs the model on `example` as it is and rewritten; kinds that leave the plain result beyond fusionTolerance, or
// fail, are dropped. `dtype`: the model's. Where weights are packed, the model's graph is changed, weight by weight,
// and the plain ones are gone. A run that is aborted in here may leave some packed; the next call puts them back first.
// `isQuantised`: layers round their activations to 8 bits, where a last bit may become a step.
FusionChoice chooseFusions(FlatModel& model, const Fusions& requested, const Values& example, at::ScalarType dtype,
                           bool isQuantised);

}  // namespace dg
