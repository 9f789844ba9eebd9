#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/interpreter.h>

#include <compare>
#include <memory>
#include <string>
#include <vector>

#include "native/core/graph/flatten.h"
#include "native/core/graph/fusion.h"

namespace dg {

using Values = std::vector<c10::IValue>;

// A graph ready to run. It goes to the interpreter as it is: no profiling executor, so the first run costs what the
// hundredth does, and nothing is reordered between runs.
class Program {
 public:
  explicit Program(const std::shared_ptr<torch::jit::Graph>& graph);

  // Runs on this thread. Throws MODEL_FAILED or OUT_OF_MEMORY, what our own operators throw, and ABORT_ERR
  // (cancellation.h).
  Values run(Values inputs) const;

 private:
  torch::jit::Code code_;
};

// Which taps a graph needs, by site.
struct TapSelection {
  std::vector<int64_t> sites;
  std::vector<int64_t> bypassed;  // of these, those that also receive the value that takes their module's place
  std::vector<int64_t> attended;  // of these, those that also receive what their attention was called with

  auto operator<=>(const TapSelection&) const = default;
};

// A copy of the model's graph with the taps of the selection alone, its chains fused.
std::shared_ptr<torch::jit::Graph> selectTaps(const FlatModel& model, const TapSelection& selection,
                                              const Fusions& fusions);

// The site of a tap node, or -1.
int64_t tapSite(const torch::jit::Node* node);

// The sites of all taps in a graph.
std::vector<int64_t> tapSites(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace dg
