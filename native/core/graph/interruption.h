#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/library.h>

#include <chrono>
#include <optional>

namespace dg {

// How a run ends before its program does: an operator that is put before what takes long, and into every loop,
//   detail_guidance::interruption_point(bool in_loop) -> ()
// looks at this thread's flag (cancellation.h), and in loops at the time. So an abort takes effect within one operator,
// and a loop without an end can be left.

// Ends loops on this thread that are still running after `limit`: MODEL_FAILED. A program without loops comes to its
// end.
class LoopDeadline {
 public:
  explicit LoopDeadline(std::chrono::duration<double> limit);
  ~LoopDeadline();
  LoopDeadline(const LoopDeadline&) = delete;
  LoopDeadline& operator=(const LoopDeadline&) = delete;

 private:
  std::optional<std::chrono::steady_clock::time_point> previous_;
};

// Puts the operator where it belongs. The last thing that is done to a graph: passes would take it for useless.
void insertInterruptionPoints(torch::jit::Graph& graph);

// Adds the operator to `library`.
void defineInterruption(torch::Library& library);

}  // namespace dg
